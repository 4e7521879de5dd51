//! `idle_gap`: frames that end where the line falls silent.

use crate::support::{SERIAL, Seen, frames, push_all, skipped};
use retrotap_adapters::framing::{
    ChecksumKind, ChecksumSpec, Framer, FramingError, FramingKind, FramingSpec, IdleGap,
    LineErrors, Parity, Received, SerialSettings, SkipCause,
};

fn modbus() -> FramingSpec {
    let kind = FramingKind::IdleGap(IdleGap::character_tenths(35, SERIAL, 16));
    let checksum = Some(ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus));
    FramingSpec {
        checksum,
        ..FramingSpec::new(kind)
    }
}

/// Bytes back to back, beginning after so many characters of silence.
fn after(silence_characters: f64, from_ns: u64, bytes: &[u8]) -> Vec<Received> {
    let character_ns = SERIAL.character_ns();
    let begin_ns = from_ns + (silence_characters * character_ns as f64) as u64;
    let times = (1..).map(|nth| begin_ns + nth * character_ns);
    bytes
        .iter()
        .zip(times)
        .map(|(byte, t_ns)| Received {
            byte: *byte,
            errors: LineErrors::NONE,
            t_ns,
        })
        .collect()
}

const READ: [u8; 8] = [0x01, 0x03, 0x00, 0x00, 0x00, 0x01, 0x84, 0x0A];

#[test]
fn a_character_is_as_long_as_its_bits() {
    assert_eq!(SERIAL.character_ns(), 1_041_666);
    let even = SerialSettings {
        baud: 19200,
        data_bits: 8,
        parity: Parity::Even,
        stop_bits: 1,
    };
    assert_eq!(even.character_ns(), 572_916);
    assert_eq!(IdleGap::silence(1_750_000, even, 256).gap_ns, 2_322_916);
}

#[test]
fn a_silence_of_three_and_a_half_characters_ends_a_frame_and_a_shorter_one_does_not() {
    let mut framer = Framer::new(&modbus()).unwrap();
    let mut bytes = after(4.0, 0, &READ);
    let first_end_ns = bytes.last().unwrap().t_ns;
    bytes.extend(after(3.6, first_end_ns, &READ[..4]));
    bytes.extend(after(3.4, bytes.last().unwrap().t_ns, &READ[4..]));
    let mut seen = push_all(&mut framer, &bytes);
    assert_eq!(frames(&seen), [READ.to_vec()]);
    let at_ns = framer.idle_at_ns().unwrap();
    framer.idle(at_ns - 1, &mut |event| seen.push(event.into()));
    assert_eq!(frames(&seen).len(), 1);
    framer.idle(at_ns, &mut |event| seen.push(event.into()));
    assert_eq!(frames(&seen), [READ.to_vec(), READ.to_vec()]);
    let Some(Seen::Frame { t_ns, .. }) = seen.last() else {
        panic!("{seen:?}")
    };
    assert_eq!(*t_ns, bytes.last().unwrap().t_ns);
    assert_eq!(framer.idle_at_ns(), None);
}

#[test]
fn what_comes_before_the_first_silence_is_the_rest_of_a_frame() {
    let mut bytes = after(0.0, 0, &READ);
    bytes.extend(after(5.0, bytes.last().unwrap().t_ns, &READ));
    bytes.extend(after(5.0, bytes.last().unwrap().t_ns, &[1]));
    let seen = push_all(&mut Framer::new(&modbus()).unwrap(), &bytes);
    assert_eq!(frames(&seen), [READ.to_vec()]);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 8);
}

#[test]
fn too_long_too_short_and_wrong_frames_are_skipped_by_their_cause() {
    let mut wrong = READ;
    wrong[3] ^= 1;
    let mut bytes = Vec::new();
    for content in [
        vec![7; 20],
        vec![1, 2],
        wrong.to_vec(),
        READ.to_vec(),
        vec![0],
    ] {
        let from_ns = bytes.last().map_or(0, |last: &Received| last.t_ns);
        bytes.extend(after(5.0, from_ns, &content));
    }
    let seen = push_all(&mut Framer::new(&modbus()).unwrap(), &bytes);
    assert_eq!(frames(&seen), [READ.to_vec()]);
    assert_eq!(skipped(&seen, SkipCause::TooLong), 20);
    assert_eq!(skipped(&seen, SkipCause::TooShort), 2);
    assert_eq!(skipped(&seen, SkipCause::Checksum), 8);
}

#[test]
fn after_a_reset_the_first_silence_has_to_be_heard_again() {
    let mut framer = Framer::new(&modbus()).unwrap();
    let mut seen = push_all(&mut framer, &after(5.0, 0, &READ[..3]));
    framer.reset(SkipCause::Disconnected, &mut |event| {
        seen.push(event.into());
    });
    let bytes = after(100.0, 0, &READ);
    seen.extend(push_all(&mut framer, &bytes));
    seen.extend(push_all(&mut framer, &after(5.0, bytes[7].t_ns, &[0])));
    assert_eq!(frames(&seen), Vec::<Vec<u8>>::new());
    assert_eq!(skipped(&seen, SkipCause::Disconnected), 3);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 8);
}

#[test]
fn a_gap_needs_no_timeout_and_ends_some_time() {
    let spec = FramingSpec {
        timeout_ns: Some(1),
        ..modbus()
    };
    assert_eq!(spec.check(), [FramingError::TimeoutWithIdleGap]);
    let never = FramingKind::IdleGap(IdleGap {
        gap_ns: u64::MAX,
        frame_bytes_max: 16,
    });
    assert_eq!(FramingSpec::new(never).check(), [FramingError::Silence]);
}
