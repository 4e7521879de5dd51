//! Typed fields out of the registers of Modbus RTU answers.
//!
//! [`dialogue`] knows which registers an answer holds, [`reading`] reads one field; this page ties them
//! to the manifest. The stage is generic: which field stands in which register, as what and with which
//! unit is written in the adapter's YAML.
//!
//! What it keeps true: an answer is only read where the registers that it holds are known. A field is
//! there if all of its registers are.
//!
//! What it doesn't do: check the CRC (the adapter's framing does), or put together what two answers
//! hold.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod dialogue;
pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}
pub mod reading;

use dialogue::{Dialogue, Listening, Refusal, Requests as Known};
use manifest::{Config, Contract, FIELDS_MAX, Field, Function, REGISTERS, Reason, Requests, Words};
use reading::{Format, Raw, Reading};
use retrotap_sdk::{Kind, Output, SlotWriter};

/// The stage.
#[derive(Debug)]
pub struct RegistersDecode {
    dialogue: Dialogue,
    fields: [(Kind, Reading); FIELDS_MAX],
    count: usize,
}

/// All zeros: 32 of them are made in place, and not on a stack that has no room for them.
const UNSET: Reading = Reading {
    factor: 0.0,
    divisor: 0.0,
    ..Reading::PLAIN
};

impl retrotap_sdk::Stage for RegistersDecode {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            dialogue: Dialogue::new(Listening {
                station: 1,
                function: 3,
                requests: Known::Heard { within_ns: 0 },
            }),
            fields: [(Kind::F64, UNSET); FIELDS_MAX],
            count: 0,
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        let listening = listening(config)?;
        // All of them are looked at before any is taken over.
        config
            .fields()
            .try_for_each(|field| reading(&field).map(drop))?;
        self.count = 0;
        for (own, field) in self.fields.iter_mut().zip(config.fields()) {
            *own = (field.kind, reading(&field)?);
            self.count += 1;
        }
        self.dialogue.listen(listening);
        Ok(())
    }

    fn process(&mut self, frame: &[u8], t_ns: i64, out: &mut Output<'_>) -> Result<(), Reason> {
        let Some(answer) = self.dialogue.hear(frame, t_ns).map_err(reason)? else {
            return Ok(());
        };
        let fields = self.fields.get(..self.count).unwrap_or_default();
        let read = |reading: &Reading| reading.read(answer.first, answer.registers);
        if fields.iter().all(|(_, reading)| read(reading).is_none()) {
            return Ok(());
        }
        out.write(REGISTERS, fields.len(), |slots| {
            for (place, (kind, reading)) in fields.iter().enumerate() {
                if let Some(raw) = read(reading) {
                    write(slots, place, *kind, reading, raw);
                }
            }
        });
        Ok(())
    }
}

fn write(slots: &mut SlotWriter<'_, '_>, place: usize, kind: Kind, reading: &Reading, raw: Raw) {
    match (kind, raw) {
        (Kind::Bool, Raw::Whole(bit)) => slots.bool(place, bit != 0),
        (Kind::I64, Raw::Whole(whole)) => slots.i64(place, whole),
        _ => slots.f64(place, reading.scaled(raw)),
    }
}

fn listening(config: &Config<'_>) -> Result<Listening, Reason> {
    Ok(Listening {
        station: whole(config.station())? as u8,
        function: match config.function() {
            Function::ReadHoldingRegisters => 3,
            Function::ReadInputRegisters => 4,
        },
        requests: match config.requests() {
            Requests::Heard => Known::Heard {
                within_ns: (config.answer_within_s() * 1e9) as i64,
            },
            Requests::NotHeard => Known::NotHeard {
                first: whole(config.first_register())?,
                count: whole(config.register_count())?,
            },
        },
    })
}

fn reading(field: &Field) -> Result<Reading, Reason> {
    let format = match field.format {
        manifest::Format::U16 => Format::U16,
        manifest::Format::I16 => Format::I16,
        manifest::Format::U32 => Format::U32,
        manifest::Format::I32 => Format::I32,
        manifest::Format::F32 => Format::F32,
        manifest::Format::Bit => Format::Bit(whole(field.bit)? as u8),
    };
    let is_bit = matches!(format, Format::Bit(_));
    if is_bit != (field.kind == Kind::Bool) {
        return Err(Reason::BitAndBool);
    }
    let is_scaled = field.factor != 1.0 || field.divisor != 1.0 || field.offset != 0.0;
    if field.kind == Kind::I64 && (is_scaled || format == Format::F32) {
        return Err(Reason::ScaledWhole);
    }
    if field.divisor == 0.0 {
        return Err(Reason::DividedByZero);
    }
    Ok(Reading {
        register: whole(field.register)?,
        format,
        low_first: field.words == Words::LowFirst,
        factor: field.factor,
        divisor: field.divisor,
        offset: field.offset,
    })
}

/// The manifest's ranges lie within 16 bits.
fn whole(number: f64) -> Result<u16, Reason> {
    let whole = number as u16;
    if f64::from(whole) == number {
        Ok(whole)
    } else {
        Err(Reason::NotWhole)
    }
}

fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::TooShort => Reason::TooShort,
        Refusal::BadLength => Reason::BadLength,
        Refusal::BadCount => Reason::BadCount,
        Refusal::Exception => Reason::Exception,
        Refusal::NoRequest => Reason::NoRequest,
        Refusal::OtherRequest => Reason::OtherRequest,
        Refusal::BeyondTheLast => Reason::BeyondTheLastRegister,
    }
}

retrotap_sdk::export!(RegistersDecode);
