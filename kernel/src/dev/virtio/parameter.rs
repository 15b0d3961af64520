//! The command line's word for a device.

/// `virtio_mmio.device=` (`drivers/virtio/virtio_mmio.c`, `vm_cmdline_set`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Bytes of registers.
    pub size_bytes: usize,
    /// Their physical address.
    pub address: u64,
    /// The interrupt's line at the I/O APIC.
    pub line: u8,
}

impl Parameter {
    /// `size@address:line`, and perhaps `:id`, which means nothing here. The size may end in `K` or `M`.
    pub fn parse(text: &str) -> Option<Self> {
        let (size, rest) = text.split_once('@')?;
        let mut rest = rest.split(':');
        let (address, line) = (number(rest.next()?)?, rest.next()?.parse().ok()?);
        let (size, unit) = match size.strip_suffix(['K', 'k']) {
            Some(size) => (size, 1 << 10),
            None => size.strip_suffix(['M', 'm']).map_or((size, 1), |size| (size, 1 << 20)),
        };
        let size_bytes = usize::try_from(number(size)?.checked_mul(unit)?).ok()?;
        Some(Self { size_bytes, address, line })
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_as_linux_reads_it() {
        let expected = Some(Parameter { size_bytes: 512, address: 0xfeb0_0000, line: 16 });
        assert_eq!(Parameter::parse("512@0xfeb00000:16"), expected);
        assert_eq!(Parameter::parse("4K@0x1000:5:2").map(|device| device.size_bytes), Some(4096));
        assert!(["", "512", "512@x:1", "512@0x1", "512@0x1:999"].map(Parameter::parse).iter().all(Option::is_none));
    }
}
