//! The frames that `userland/runner.c` writes, read from a machine that may have died in the middle of one.

use std::time::Duration;

/// The answer of one program.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which program of the list.
    pub index: usize,
    /// Its status; `None` when its time was up.
    pub status: Option<u8>,
    /// Its standard output.
    pub output: Vec<u8>,
    /// Its standard error.
    pub error: Vec<u8>,
    /// How long it ran, by the guest's clock.
    pub time: Duration,
}

/// Takes the stream apart as it comes in.
#[derive(Default)]
pub struct Reader {
    /// What is not yet a whole frame.
    rest: Vec<u8>,
}

impl Reader {
    /// Takes the next bytes and gives the frames that are whole with them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.rest.extend_from_slice(bytes);
        let (mut frames, mut taken) = (Vec::new(), 0);
        while let Some((frame, length)) = first(&self.rest[taken..]) {
            frames.extend(frame);
            taken += length;
        }
        self.rest.drain(..taken);
        frames
    }
}

/// The first line of a stream, or the frame it opens, and how many bytes that is; `None` if there is no whole one.
fn first(stream: &[u8]) -> Option<(Option<Frame>, usize)> {
    let end = stream.iter().position(|&byte| byte == b'\n')?;
    let (line, rest) = (&stream[..end], &stream[end + 1..]);
    let Some((mut frame, (output, error))) = header(line) else { return Some((None, end + 1)) };
    frame.output = rest.get(..output)?.to_vec();
    frame.error = rest.get(output..output + error)?.to_vec();
    Some((Some(frame), end + 1 + output + error))
}

/// Reads a line `@end INDEX STATUS OUTPUT-BYTES ERROR-BYTES MILLISECONDS`.
fn header(line: &[u8]) -> Option<(Frame, (usize, usize))> {
    let mut words = std::str::from_utf8(line).ok()?.strip_prefix("@end ")?.split(' ');
    let mut number = || words.next()?.parse::<i64>().ok();
    let index = usize::try_from(number()?).ok()?;
    let status = u8::try_from(number()?).ok();
    let sizes = (usize::try_from(number()?).ok()?, usize::try_from(number()?).ok()?);
    let time = Duration::from_millis(u64::try_from(number()?).ok()?);
    Some((Frame { index, status, output: Vec::new(), error: Vec::new(), time }, sizes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_carry_any_bytes() {
        let stream = b"@start 0\n@end 0 139 7 2 15\n@end 1\n!!@start 1\n@end 1 -1 0 0 30000\n";
        let mut reader = Reader::default();
        let frames: Vec<Frame> = stream.chunks(5).flat_map(|chunk| reader.feed(chunk)).collect();
        assert_eq!(frames.len(), 2);
        assert_eq!(
            (frames[0].status, frames[0].output.as_slice(), frames[0].error.as_slice()),
            (Some(139), &b"@end 1\n"[..], &b"!!"[..])
        );
        assert_eq!((frames[1].index, frames[1].status), (1, None));
    }

    #[test]
    fn a_frame_cut_short_is_none() {
        assert_eq!(Reader::default().feed(b"@start 0\n@end 0 0 9 0 1\nabc"), []);
    }
}
