//! `delimited`: lines, Host Link, 3964R, DLE-framed messages.

use crate::damage::Damage;
use crate::support::{Seen, framer, frames, run, skipped};
use proptest::prelude::*;
use retrotap_adapters::framing::{
    ChecksumForm, ChecksumKind, ChecksumSpec, Delimited, Framer, FramingError, FramingKind,
    FramingSpec, SkipCause,
};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const DLE: u8 = 0x10;

fn marks(start: &[u8], end: &[u8], escape: Option<u8>) -> FramingKind {
    FramingKind::Delimited(Delimited {
        start: start.to_vec(),
        end: end.to_vec(),
        escape,
        frame_bytes_max: 40,
    })
}

fn with_checksum(kind: FramingKind, checksum: ChecksumSpec) -> FramingSpec {
    FramingSpec {
        checksum: Some(checksum),
        ..FramingSpec::new(kind)
    }
}

fn doubled(payload: &[u8]) -> Vec<u8> {
    payload
        .iter()
        .flat_map(|byte| vec![*byte; if *byte == DLE { 2 } else { 1 }])
        .collect()
}

/// A message of DF1: DLE STX … DLE ETX.
fn dle_framed(payload: &[u8]) -> Vec<u8> {
    [&[DLE, STX], doubled(payload).as_slice(), &[DLE, ETX]].concat()
}

fn of_3964r() -> FramingSpec {
    let block_check = ChecksumSpec {
        skip: 1,
        after_end: true,
        ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
    };
    with_checksum(marks(&[STX], &[DLE, ETX], Some(DLE)), block_check)
}

fn sent_by_3964r(payload: &[u8]) -> Vec<u8> {
    let covered = [doubled(payload).as_slice(), &[DLE, ETX]].concat();
    let check = covered.iter().fold(0, |xor, byte| xor ^ byte);
    [&[STX], covered.as_slice(), &[check]].concat()
}

#[test]
fn lines_are_what_stands_between_two_ends() {
    let mut framer = framer(marks(b"", b"\r\n", None));
    let seen = run(&mut framer, b"kg\r\n 12.5 kg\r\n\r\n\n 13 \r kg\r\n");
    assert_eq!(
        frames(&seen),
        [b" 12.5 kg".to_vec(), b"\n 13 \r kg".to_vec()]
    );
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 4);
    assert_eq!(skipped(&seen, SkipCause::TooShort), 2);
}

#[test]
fn the_rest_of_a_line_whose_beginning_was_not_heard_is_not_a_line() {
    let seen = run(&mut framer(marks(b"", b"\r", None)), b"23.4 kg\r123.4 kg\r");
    assert_eq!(frames(&seen), [b"123.4 kg".to_vec()]);
}

#[test]
fn a_line_without_end_is_given_up_and_its_rest_is_not_a_line_either() {
    let long = [b"a\r".to_vec(), vec![b'x'; 70], b"\rb\r".to_vec()].concat();
    let seen = run(&mut framer(marks(b"", b"\r", None)), &long);
    assert_eq!(frames(&seen), [b"b".to_vec()]);
    assert_eq!(skipped(&seen, SkipCause::TooLong), 40);
}

#[test]
fn a_host_link_command_is_checked_by_its_hex_digits() {
    // Omron: FCS is the exclusive or from @ to the last character of the text.
    let fcs = ChecksumSpec {
        form: ChecksumForm::Hex,
        ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
    };
    let mut framer = Framer::new(&with_checksum(marks(b"@", b"*\r", None), fcs)).unwrap();
    let seen = run(&mut framer, b"..@00RD0000000157*\r@00RD0000000158*\r");
    assert_eq!(frames(&seen), [b"00RD0000000157".to_vec()]);
    assert_eq!(skipped(&seen, SkipCause::NoMatch), 2);
    assert_eq!(skipped(&seen, SkipCause::Checksum), 17);
}

#[test]
fn a_start_inside_a_frame_begins_a_new_one_where_content_cannot_hold_it() {
    let seen = run(
        &mut framer(marks(b"@", b"\r", None)),
        b"@lost its end@whole\r",
    );
    assert_eq!(frames(&seen), [b"whole".to_vec()]);
    assert_eq!(skipped(&seen, SkipCause::NoEnd), 13);
    let sent = [&[DLE, STX, 7], dle_framed(&[8]).as_slice()].concat();
    let seen = run(
        &mut framer(marks(&[DLE, STX], &[DLE, ETX], Some(DLE))),
        &sent,
    );
    assert_eq!(frames(&seen), [vec![8]]);
    assert_eq!(skipped(&seen, SkipCause::NoEnd), 3);
}

#[test]
fn content_may_hold_the_start_where_only_the_escape_is_doubled() {
    let sent = sent_by_3964r(&[1, STX, DLE, DLE, ETX, STX]);
    let seen = run(&mut Framer::new(&of_3964r()).unwrap(), &sent);
    assert_eq!(frames(&seen), [vec![1, STX, DLE, DLE, ETX, STX]]);
}

#[test]
fn an_escape_before_what_must_not_follow_one_ends_the_frame() {
    let sent = [&[STX, 1, DLE, 9, 9], sent_by_3964r(&[5]).as_slice()].concat();
    let seen = run(&mut Framer::new(&of_3964r()).unwrap(), &sent);
    assert_eq!(frames(&seen), [vec![5]]);
    assert_eq!(skipped(&seen, SkipCause::BadEscape), 4);
}

#[test]
fn an_escape_of_its_own_makes_the_end_mark_plain() {
    let seen = run(&mut framer(marks(b"<", b">", Some(b'\\'))), b"<a\\>b\\\\>");
    assert_eq!(frames(&seen), [b"a>b\\".to_vec()]);
}

#[test]
fn a_frame_exactly_as_long_as_the_limit_comes_out_and_one_byte_more_does_not() {
    for (content, whole) in [(38, true), (39, false)] {
        let sent = [b"@".to_vec(), vec![b'x'; content], b"\r@y\r".to_vec()].concat();
        let out = frames(&run(&mut framer(marks(b"@", b"\r", None)), &sent));
        assert_eq!(out.len(), if whole { 2 } else { 1 }, "{content}");
        assert_eq!(out.last(), Some(&b"y".to_vec()));
    }
}

#[test]
fn marks_that_could_be_mistaken_are_refused() {
    let errors = |kind| FramingSpec::new(kind).check();
    assert_eq!(errors(marks(b"%", b"%", None)), [FramingError::MarksAlike]);
    assert_eq!(errors(marks(b"@", b"@@", None)), [FramingError::MarksAlike]);
    assert_eq!(errors(marks(b"", b"", None)), [FramingError::MarkLength]);
    assert_eq!(
        errors(marks(&[DLE], &[DLE, ETX], Some(DLE))),
        [FramingError::MarksAlike, FramingError::EscapeInMark]
    );
    assert_eq!(
        errors(marks(b"", &[ETX, DLE], Some(DLE))),
        [FramingError::EscapeInMark]
    );
    let inside = with_checksum(
        marks(&[STX], &[DLE, ETX], Some(DLE)),
        ChecksumSpec::whole_frame(ChecksumKind::Xor),
    );
    assert_eq!(inside.check(), [FramingError::ChecksumEscaped]);
}

proptest! {
    #[test]
    fn whatever_a_dle_framed_message_holds_comes_out_again(
        payloads in prop::collection::vec(prop::collection::vec(prop_oneof![Just(DLE), Just(STX), Just(ETX), any::<u8>()], 1..17), 1..8),
    ) {
        let sent: Vec<u8> = payloads.iter().flat_map(|payload| dle_framed(payload)).collect();
        let mut dle = framer(marks(&[DLE, STX], &[DLE, ETX], Some(DLE)));
        prop_assert_eq!(frames(&run(&mut dle, &sent)), payloads.clone());
        let sent: Vec<u8> = payloads.iter().flat_map(|payload| sent_by_3964r(payload)).collect();
        prop_assert_eq!(frames(&run(&mut Framer::new(&of_3964r()).unwrap(), &sent)), payloads);
    }

    #[test]
    fn a_single_damage_to_host_link_frames_costs_at_most_the_frame_that_it_hits_and_the_next(
        texts in prop::collection::vec("[0-9A-F]{4,20}", 6),
    ) {
        let fcs = ChecksumSpec { form: ChecksumForm::Hex, ..ChecksumSpec::whole_frame(ChecksumKind::Xor) };
        let spec = with_checksum(marks(b"@", b"*\r", None), fcs);
        let sent: Vec<Vec<u8>> = texts.iter().map(|text| {
            let check = format!("@{text}").bytes().fold(0, |xor, byte| xor ^ byte);
            format!("@{text}{check:02X}*\r").into_bytes()
        }).collect();
        let content = |frame: &Vec<u8>| frame[1..frame.len() - 2].to_vec();
        for damage in Damage::every(sent.concat().len()) {
            let mut begins = 0;
            let hit = sent.iter().take_while(|frame| { begins += frame.len(); begins <= damage.at() }).count();
            let mut framer = Framer::new(&spec).unwrap();
            let damaged = damage.apply(&sent.concat());
            let seen = run(&mut framer, &damaged);
            let out = frames(&seen);
            let before: Vec<_> = sent[..hit].iter().map(content).collect();
            let after: Vec<_> = sent[(hit + 2).min(6)..].iter().map(content).collect();
            prop_assert!(out.starts_with(&before), "{damage:?}");
            prop_assert!(out.ends_with(&after), "{damage:?}");
            let accounted: usize = seen.iter().map(Seen::wire_bytes).sum();
            prop_assert_eq!(accounted + framer.held_bytes(), damaged.len());
        }
    }
}
