//! Which registers an answer holds, and what is read out of them.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_registers_decode::dialogue::{Dialogue, Listening, Refusal, Requests};
use retrotap_stage_registers_decode::reading::{Format, Raw, Reading, Register};

const MS_NS: i64 = 1_000_000;

fn listening(requests: Requests) -> Listening {
    Listening {
        station: 1,
        function: 3,
        requests,
    }
}

fn heard() -> Dialogue {
    Dialogue::new(listening(Requests::Heard {
        within_ns: 1000 * MS_NS,
    }))
}

fn request(first: u16, count: u16) -> Vec<u8> {
    let mut frame = vec![1, 3];
    frame.extend(first.to_be_bytes());
    frame.extend(count.to_be_bytes());
    frame.extend([0, 0]);
    frame
}

fn answer(registers: &[u16]) -> Vec<u8> {
    let mut frame = vec![1, 3, 2 * registers.len() as u8];
    frame.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
    frame.extend([0, 0]);
    frame
}

/// First register and values of what was heard.
fn hear(
    dialogue: &mut Dialogue,
    frame: &[u8],
    t_ns: i64,
) -> Result<Option<(u16, Vec<u16>)>, Refusal> {
    dialogue.hear(frame, t_ns).map(|answer| {
        answer.map(|answer| {
            let values = answer.registers.iter().copied().map(u16::from_be_bytes);
            (answer.first, values.collect())
        })
    })
}

#[test]
fn a_request_says_which_registers_its_answer_holds() {
    let mut dialogue = heard();
    assert_eq!(hear(&mut dialogue, &request(5, 2), 0), Ok(None));
    let heard = hear(&mut dialogue, &answer(&[7, 8]), 30 * MS_NS);
    assert_eq!(heard, Ok(Some((5, vec![7, 8]))));
}

#[test]
fn an_answer_counts_once_in_time_and_as_long_as_it_was_asked_for() {
    let mut dialogue = heard();
    assert_eq!(
        hear(&mut dialogue, &answer(&[7]), 0),
        Err(Refusal::NoRequest)
    );
    hear(&mut dialogue, &request(5, 1), 0).unwrap();
    hear(&mut dialogue, &answer(&[7]), 1000 * MS_NS).unwrap();
    let again = hear(&mut dialogue, &answer(&[7]), 1000 * MS_NS);
    assert_eq!(again, Err(Refusal::NoRequest));
    hear(&mut dialogue, &request(5, 1), 2000 * MS_NS).unwrap();
    let late = hear(&mut dialogue, &answer(&[7]), 3000 * MS_NS + 1);
    assert_eq!(late, Err(Refusal::NoRequest));
    hear(&mut dialogue, &request(5, 1), 4000 * MS_NS).unwrap();
    let longer = hear(&mut dialogue, &answer(&[7, 8]), 4001 * MS_NS);
    assert_eq!(longer, Err(Refusal::OtherRequest));
}

#[test]
fn an_exception_ends_its_request() {
    let mut dialogue = heard();
    hear(&mut dialogue, &request(5, 1), 0).unwrap();
    let exception = [1, 0x83, 2, 0, 0];
    assert_eq!(hear(&mut dialogue, &exception, 1), Err(Refusal::Exception));
    assert_eq!(
        hear(&mut dialogue, &answer(&[7]), 2),
        Err(Refusal::NoRequest)
    );
}

#[test]
fn other_stations_and_functions_are_passed_over_and_take_no_request_away() {
    let mut dialogue = heard();
    hear(&mut dialogue, &request(5, 1), 0).unwrap();
    for (place, byte) in [(0, 2), (1, 4), (1, 0x84)] {
        let mut other = answer(&[9]);
        other[place] = byte;
        assert_eq!(hear(&mut dialogue, &other, 1), Ok(None));
    }
    assert_eq!(
        hear(&mut dialogue, &answer(&[7]), 2),
        Ok(Some((5, vec![7])))
    );
}

#[test]
fn without_requests_the_adapter_says_where_answers_begin_and_how_long_they_are() {
    let known = Requests::NotHeard {
        first: 40,
        count: 2,
    };
    let mut dialogue = Dialogue::new(listening(known));
    let heard = hear(&mut dialogue, &answer(&[7, 8]), 0);
    assert_eq!(heard, Ok(Some((40, vec![7, 8]))));
    assert_eq!(hear(&mut dialogue, &answer(&[7]), 0), Ok(None));
    let any = Requests::NotHeard {
        first: 40,
        count: 0,
    };
    dialogue.listen(listening(any));
    assert_eq!(
        hear(&mut dialogue, &answer(&[7]), 0),
        Ok(Some((40, vec![7])))
    );
}

#[test]
fn what_breaks_the_protocol_is_refused_by_name() {
    let mut dialogue = heard();
    for length in 0..5 {
        let short = &answer(&[1])[..length];
        assert_eq!(hear(&mut dialogue, short, 0), Err(Refusal::TooShort));
    }
    for count in [0, 126, 0xFFFF] {
        let refused = hear(&mut dialogue, &request(0, count), 0);
        assert_eq!(refused, Err(Refusal::BadCount));
    }
    for frame in [
        &[1, 3, 0, 0, 0][..],
        &[1, 3, 1, 9, 0, 0],
        &[1, 3, 4, 0, 0, 0, 0],
    ] {
        assert_eq!(hear(&mut dialogue, frame, 0), Err(Refusal::BadLength));
    }
    hear(&mut dialogue, &request(0xFFFF, 2), 0).unwrap();
    let beyond = hear(&mut dialogue, &answer(&[1, 2]), 1);
    assert_eq!(beyond, Err(Refusal::BeyondTheLast));
}

fn read(format: Format, low_first: bool, registers: &[u16]) -> Option<Raw> {
    let bytes: Vec<Register> = registers.iter().map(|value| value.to_be_bytes()).collect();
    let reading = Reading {
        register: 10,
        format,
        low_first,
        ..Reading::PLAIN
    };
    reading.read(10, &bytes)
}

#[test]
fn every_format_is_read_to_its_ends() {
    let whole = |value| Some(Raw::Whole(value));
    assert_eq!(read(Format::U16, false, &[0xFFFF]), whole(65_535));
    assert_eq!(read(Format::I16, false, &[0x8000]), whole(-32_768));
    assert_eq!(read(Format::Bit(0), false, &[1]), whole(1));
    assert_eq!(read(Format::Bit(15), false, &[0x7FFF]), whole(0));
    assert_eq!(read(Format::U32, false, &[0x0001, 0x0002]), whole(65_538));
    assert_eq!(read(Format::U32, true, &[0x0001, 0x0002]), whole(131_073));
    let least = i64::from(i32::MIN);
    assert_eq!(read(Format::I32, false, &[0x8000, 0]), whole(least));
    assert_eq!(read(Format::F32, false, &[0x3F80, 0]), Some(Raw::Real(1.0)));
    assert_eq!(
        read(Format::F32, true, &[0, 0xC2F7]),
        Some(Raw::Real(-123.5))
    );
}

#[test]
fn a_field_that_is_not_whole_in_an_answer_is_not_there() {
    assert_eq!(read(Format::U32, false, &[1]), None);
    assert_eq!(Reading::PLAIN.read(1, &[[0, 1]]), None, "before the first");
    let far = Reading {
        register: u16::MAX,
        format: Format::U32,
        ..Reading::PLAIN
    };
    assert_eq!(far.read(u16::MAX, &[[0, 1]]), None);
}

#[test]
fn tenths_are_the_very_decimals() {
    let tenths = Reading {
        divisor: 10.0,
        ..Reading::PLAIN
    };
    for value in 0..=u16::MAX {
        let scaled = tenths.scaled(Raw::Whole(value.into()));
        let text = format!("{}.{}", value / 10, value % 10);
        assert_eq!(scaled, text.parse::<f64>().unwrap());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_and_what_it_reads_was_asked_for(
        frames in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..64),
                (any::<u16>(), 0..6_u16).prop_map(|(first, count)| request(first, count)),
                prop::collection::vec(any::<u16>(), 1..6).prop_map(|values| answer(&values)),
            ],
            0..60,
        ),
    ) {
        let mut dialogue = heard();
        let mut asked = None;
        for (t_ns, frame) in (0..).zip(&frames) {
            if let Ok(Some((first, values))) = hear(&mut dialogue, frame, t_ns) {
                prop_assert_eq!(asked.take(), Some((first, values.len() as u16)));
            } else if let [1, 3, a, b, c, d, _, _] = frame[..] {
                asked = Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
            }
        }
    }

    #[test]
    fn words_swapped_in_both_places_are_the_same_number(high in any::<u16>(), low in any::<u16>()) {
        for format in [Format::U32, Format::I32] {
            prop_assert_eq!(read(format, false, &[high, low]), read(format, true, &[low, high]));
        }
    }
}
