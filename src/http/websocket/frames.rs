//! A limit on what a client may send as one message, kept by looking at the headers of its frames.
//!
//! The WebSocket library compares a frame with its limit once it has the whole of it: until then it
//! would gather gigabytes. Here the length is known as soon as it is announced.

/// The most frames that one message may be cut into.
const MOST_FRAMES: u32 = 1024;
/// The longest control frame, in bytes, as specified.
const LONGEST_CONTROL: u64 = 125;

/// Why no more is read from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFrame {
    /// A message is longer than the limit.
    TooLong,
    /// A bit is set that has a meaning only where both sides agreed on an extension.
    Reserved,
}

/// Follows the frames of one client.
pub struct FrameGuard {
    /// The longest message, in bytes.
    limit: u64,
    /// What has been seen of the header of the frame that begins, at most 14 bytes.
    header: Vec<u8>,
    /// How many bytes of the frame's payload are still to come.
    payload: u64,
    /// How long the message is so far.
    message: u64,
    /// How many frames it has so far.
    frames: u32,
}

impl FrameGuard {
    /// For messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        Self { limit, header: Vec::with_capacity(14), payload: 0, message: 0, frames: 0 }
    }

    /// Looks at the next bytes that a client sent, whatever parts of frames they are.
    pub fn check(&mut self, mut bytes: &[u8]) -> Result<(), BadFrame> {
        loop {
            let skipped = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
            self.payload -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else { return Ok(()) };
            self.header.push(*first);
            bytes = rest;
            if let Some(length) = payload_length(&self.header) {
                self.begin(length)?;
            }
        }
    }

    /// The header of a frame is complete.
    fn begin(&mut self, length: u64) -> Result<(), BadFrame> {
        let first = self.header.first().copied().unwrap_or_default();
        let (is_last, is_control) = (first & 0x80 != 0, first & 0x08 != 0);
        if first & 0x70 != 0 {
            return Err(BadFrame::Reserved);
        }
        self.header.clear();
        self.payload = length;
        if is_control {
            return if length > LONGEST_CONTROL { Err(BadFrame::TooLong) } else { Ok(()) };
        }
        self.message = self.message.saturating_add(length);
        self.frames += 1;
        if self.message > self.limit || self.frames > MOST_FRAMES {
            return Err(BadFrame::TooLong);
        }
        if is_last {
            (self.message, self.frames) = (0, 0);
        }
        Ok(())
    }
}

/// The length of the payload, in bytes; `None` while the header is not complete.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = header.get(1)?;
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    if header.len() < 2 + extended + mask {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Some(if extended == 0 { u64::from(second & 0x7f) } else { number(&header[2..2 + extended]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked frame.
    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            126..65_536 => {
                frame.push(0x80 | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(vec![0; length]);
        frame
    }

    const TEXT: u8 = 0x81;
    const FIRST: u8 = 0x01;
    const MIDDLE: u8 = 0x00;
    const LAST: u8 = 0x80;
    const PING: u8 = 0x89;

    #[test]
    fn messages_up_to_the_limit_pass_however_they_are_cut() {
        let mut sent = Vec::new();
        for length in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            sent.extend(frame(TEXT, length));
        }
        sent.extend([frame(FIRST, 60_000), frame(PING, 125), frame(LAST, 40_000)].concat());
        for cut in [1, 3, 7, 65_537, sent.len()] {
            let mut guard = FrameGuard::new(100_000);
            for bytes in sent.chunks(cut) {
                assert_eq!(guard.check(bytes), Ok(()), "{cut}");
            }
        }
    }

    #[test]
    fn a_message_over_the_limit_is_known_by_its_header() {
        let mut guard = FrameGuard::new(100_000);
        assert_eq!(guard.check(&frame(TEXT, 100_001)[..13]), Ok(()));
        assert_eq!(guard.check(&frame(TEXT, 100_001)[13..14]), Err(BadFrame::TooLong));
        let huge = [&[TEXT, 0xff][..], &[0xff; 8], &[0; 4]].concat();
        assert_eq!(FrameGuard::new(100_000).check(&huge), Err(BadFrame::TooLong));
    }

    #[test]
    fn the_frames_of_a_message_are_added_up() {
        let sent = [frame(FIRST, 60_000), frame(MIDDLE, 40_000), frame(LAST, 1)].concat();
        assert_eq!(FrameGuard::new(100_000).check(&sent), Err(BadFrame::TooLong));
        let crumbs = [frame(FIRST, 0), frame(MIDDLE, 0).repeat(MOST_FRAMES as usize)].concat();
        assert_eq!(FrameGuard::new(100_000).check(&crumbs), Err(BadFrame::TooLong));
    }

    #[test]
    fn reserved_bits_are_not_set() {
        for first in [0xc1, 0xa1, 0x91] {
            assert_eq!(FrameGuard::new(100_000).check(&frame(first, 0)), Err(BadFrame::Reserved));
        }
    }

    #[test]
    fn a_control_frame_is_short() {
        assert_eq!(FrameGuard::new(100_000).check(&frame(PING, 126)), Err(BadFrame::TooLong));
    }
}
