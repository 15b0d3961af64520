//! The link from the host tool (`docs/host-protocol.md`): frames with standard input and window sizes, taken apart.

/// What a frame brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of standard input.
    Input(&'a [u8]),
    /// The end of standard input.
    EndOfInput,
    /// The host's terminal has this size.
    WindowSize {
        /// Lines.
        rows: u16,
        /// Characters a line.
        columns: u16,
    },
}

/// Bytes of a frame's header: type and length.
const HEADER_BYTES: usize = 3;

/// Takes frames apart as their bytes come in.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_BYTES],
    header_len: usize,
    /// Bytes of the frame's body still to come.
    body_left: usize,
    /// The body of a window size so far.
    size: [u8; 4],
    size_len: usize,
}

impl Decoder {
    /// A decoder at the start of a frame.
    pub const fn new() -> Self {
        Self { header: [0; HEADER_BYTES], header_len: 0, body_left: 0, size: [0; 4], size_len: 0 }
    }

    /// Takes bytes in and hands on what they bring. Frames of unknown type are skipped.
    pub fn feed(&mut self, mut bytes: &[u8], mut deliver: impl FnMut(Piece<'_>)) {
        while !bytes.is_empty() {
            let taken = if self.header_len < HEADER_BYTES {
                self.take_header(bytes[0], &mut deliver);
                1
            } else {
                self.take_body(bytes, &mut deliver)
            };
            bytes = &bytes[taken..];
        }
    }

    fn take_header(&mut self, byte: u8, deliver: &mut impl FnMut(Piece<'_>)) {
        self.header[self.header_len] = byte;
        self.header_len += 1;
        if self.header_len < HEADER_BYTES {
            return;
        }
        self.body_left = usize::from(u16::from_le_bytes([self.header[1], self.header[2]]));
        self.size_len = 0;
        if self.body_left == 0 {
            if self.header[0] == b'I' {
                deliver(Piece::EndOfInput);
            }
            self.header_len = 0;
        }
    }

    fn take_body(&mut self, bytes: &[u8], deliver: &mut impl FnMut(Piece<'_>)) -> usize {
        let taken = bytes.len().min(self.body_left);
        match self.header[0] {
            b'I' => deliver(Piece::Input(&bytes[..taken])),
            b'W' => self.take_size(&bytes[..taken], deliver),
            _ => {}
        }
        self.body_left -= taken;
        if self.body_left == 0 {
            self.header_len = 0;
        }
        taken
    }

    fn take_size(&mut self, bytes: &[u8], deliver: &mut impl FnMut(Piece<'_>)) {
        for &byte in bytes {
            if let Some(place) = self.size.get_mut(self.size_len) {
                *place = byte;
            }
            self.size_len += 1;
            if self.size_len == self.size.len() {
                let [a, b, c, d] = self.size;
                deliver(Piece::WindowSize { rows: u16::from_le_bytes([a, b]), columns: u16::from_le_bytes([c, d]) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// What comes of `bytes` fed in pieces of `step`: input, number of ends, sizes.
    fn decode(bytes: &[u8], step: usize) -> (Vec<u8>, usize, Vec<(u16, u16)>) {
        let (mut decoder, mut input, mut ends, mut sizes) = (Decoder::new(), Vec::new(), 0, Vec::new());
        for part in bytes.chunks(step) {
            decoder.feed(part, |piece| match piece {
                Piece::Input(bytes) => input.extend_from_slice(bytes),
                Piece::EndOfInput => ends += 1,
                Piece::WindowSize { rows, columns } => sizes.push((rows, columns)),
            });
        }
        (input, ends, sizes)
    }

    #[test]
    fn frames_come_out_the_same_however_they_are_cut() {
        let bytes = b"I\x05\x00helloW\x04\x00\x18\x00\x50\x00?\x02\x00xxI\x01\x00!I\x00\x00";
        let expected = (b"hello!".to_vec(), 1, Vec::from([(24, 80)]));
        for step in 1..=bytes.len() {
            assert_eq!(decode(bytes, step), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_frame_of_unknown_type_without_a_body_is_skipped() {
        assert_eq!(decode(b"Z\x00\x00I\x01\x00a", 2).0, b"a");
    }
}
