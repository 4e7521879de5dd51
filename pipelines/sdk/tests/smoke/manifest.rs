/// The longest frame in bytes, 0 where the input is a record.
pub const FRAME_BYTES_MAX: usize = 0;
/// The most rows of the table `marks`.
pub const MARKS_ROWS_MAX: usize = 3;
/// What a call writes its records to.
pub type Output<'a> = ::retrotap_sdk::Output<'a>;
/// One of a few named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum InputMode {
    /// `manual`
    Manual = 0,
    /// `automatic`
    Automatic = 1,
}
impl InputMode {
    /// The choice at a place of the manifest's list.
    #[inline]
    pub const fn at(place: u32) -> Option<Self> {
        match place {
            0 => Some(Self::Manual),
            1 => Some(Self::Automatic),
            _ => None,
        }
    }
}
/// One record of an earlier stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input {
    /// In mm.
    pub level_mm: f64,
    /// Without a unit.
    pub count: Option<i64>,
    /// Without a unit.
    pub open: Option<bool>,
    /// Without a unit.
    pub mode: InputMode,
}
impl Input {
    /// Reads it; nothing where a required field is missing, which the host rules out.
    #[inline]
    pub fn read(slots: ::retrotap_sdk::Slots<'_>) -> Option<Self> {
        Some(Self {
            level_mm: slots.f64(0)?,
            count: slots.i64(1),
            open: slots.bool(2),
            mode: slots.index(3).and_then(InputMode::at)?,
        })
    }
}
/// One of a few named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LevelMode {
    /// `manual`
    Manual = 0,
    /// `automatic`
    Automatic = 1,
}
impl LevelMode {
    /// The choice at a place of the manifest's list.
    #[inline]
    pub const fn at(place: u32) -> Option<Self> {
        match place {
            0 => Some(Self::Manual),
            1 => Some(Self::Automatic),
            _ => None,
        }
    }
}
/// What comes out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The level.
    pub level_m: f64,
    /// Without a unit.
    pub count: Option<i64>,
    /// Without a unit.
    pub open: Option<bool>,
    /// Without a unit.
    pub mode: LevelMode,
    /// Without a unit.
    pub nearest: Option<u32>,
}
impl ::retrotap_sdk::Record for Level {
    const NUMBER: u32 = 0;
    const FIELDS: usize = 5;
    #[inline]
    fn write(&self, slots: &mut ::retrotap_sdk::SlotWriter<'_, '_>) {
        { let value = self.level_m; slots.f64(0, value); }
        if let Some(value) = self.count { slots.i64(1, value); }
        if let Some(value) = self.open { slots.bool(2, value); }
        { let value = self.mode; slots.index(3, value as u32); }
        if let Some(value) = self.nearest { slots.index(4, value); }
    }
}
/// The record `note`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Note<'a> {
    /// Without a unit.
    pub r#type: &'a str,
}
impl ::retrotap_sdk::Record for Note<'_> {
    const NUMBER: u32 = 1;
    const FIELDS: usize = 1;
    #[inline]
    fn write(&self, slots: &mut ::retrotap_sdk::SlotWriter<'_, '_>) {
        { let value = self.r#type; slots.text(0, value); }
    }
}
/// Parameters and tables, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> { area: &'a [u8; 72] }
/// One of a few named values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Rounding {
    /// `none`
    None = 0,
    /// `down`
    Down = 1,
}
impl Rounding {
    /// The choice at a place of the manifest's list.
    #[inline]
    pub const fn at(place: u32) -> Option<Self> {
        match place {
            0 => Some(Self::None),
            1 => Some(Self::Down),
            _ => None,
        }
    }
}
/// One row of the table `marks`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MarksRow {
    /// In m.
    pub at_m: f64,
    /// Without a unit.
    pub weight: f64,
}
/// The table `marks`.
#[derive(Clone, Copy, Debug)]
pub struct MarksTable<'a>(::retrotap_sdk::Cells<'a>);
impl<'a> MarksTable<'a> {
    /// How many rows there are.
    #[inline]
    pub fn len(&self) -> usize { self.0.rows() }
    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool { self.0.rows() == 0 }
    /// One row.
    #[inline]
    pub fn row(&self, row: usize) -> Option<MarksRow> {
        let cells = self.0.row(row)?;
        Some(MarksRow {
            at_m: cells.f64(0),
            weight: cells.f64(1),
        })
    }
    /// All rows, in order.
    #[inline]
    pub fn rows(self) -> impl Iterator<Item = MarksRow> + 'a { (0..self.len()).filter_map(move |row| self.row(row)) }
}
impl<'a> Config<'a> {
    /// Bytes of the area.
    pub const BYTES: usize = 72;
    /// Looks at an area of the right size.
    pub fn new(area: &'a [u8]) -> Option<Self> { Some(Self { area: area.try_into().ok()? }) }
    /// Added to every level.
    #[inline]
    pub fn offset_m(&self) -> f64 { ::retrotap_sdk::parameter(self.area, 0) }
    /// Without a unit.
    #[inline]
    pub fn rounding(&self) -> Rounding { match Rounding::at(::retrotap_sdk::parameter(self.area, 1) as u32) { Some(choice) => choice, None => unreachable!() } }
    /// The table `marks`.
    #[inline]
    pub fn marks(&self) -> MarksTable<'a> { MarksTable(::retrotap_sdk::Cells::new(&self.area[16..72], 2)) }
}
/// Why an input or a configuration is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Reason {
    /// The level is above the highest mark.
    TooHigh = 1,
}
impl ::retrotap_sdk::Reason for Reason {
    #[inline]
    fn number(self) -> i32 { self as i32 }
}
/// What ties the stage to its manifest.
#[derive(Clone, Copy, Debug)]
pub enum Contract {}
impl ::retrotap_sdk::Contract for Contract {
    const MANIFEST_JSON: &'static str = "{\"stage\":\"smoke\",\"version\":\"1.2.3\",\"abi\":1,\"title\":\"Everything that a manifest can have\",\"input\":{\"record\":\"reading\",\"fields\":[{\"name\":\"level_mm\",\"kind\":\"f64\",\"unit\":\"mm\"},{\"name\":\"count\",\"kind\":\"i64\",\"optional\":true},{\"name\":\"open\",\"kind\":\"bool\",\"optional\":true},{\"name\":\"mode\",\"kind\":\"choice\",\"choices\":[\"manual\",\"automatic\"]}]},\"records\":[{\"record\":\"level\",\"description\":\"What comes out.\",\"fields\":[{\"name\":\"level_m\",\"kind\":\"f64\",\"unit\":\"m\",\"range\":[0.0,10.0],\"description\":\"The level.\"},{\"name\":\"count\",\"kind\":\"i64\",\"optional\":true},{\"name\":\"open\",\"kind\":\"bool\",\"optional\":true},{\"name\":\"mode\",\"kind\":\"choice\",\"choices\":[\"manual\",\"automatic\"]},{\"name\":\"nearest\",\"kind\":\"row\",\"table\":\"marks\",\"optional\":true}]},{\"record\":\"note\",\"description\":\"\",\"fields\":[{\"name\":\"type\",\"kind\":\"text\"}]}],\"parameters\":[{\"name\":\"offset_m\",\"unit\":\"m\",\"default\":0.5,\"minimum\":-10.0,\"maximum\":10.0,\"description\":\"Added to every level.\"},{\"name\":\"rounding\",\"default\":\"none\",\"choices\":[\"none\",\"down\"],\"description\":\"\"}],\"tables\":[{\"name\":\"marks\",\"live\":true,\"rows_max\":3,\"columns\":[{\"name\":\"at_m\",\"unit\":\"m\"},{\"name\":\"weight\"}],\"description\":\"\"}],\"reasons\":[{\"name\":\"too_high\",\"description\":\"The level is above the highest mark.\"}],\"sizes\":{\"frame_bytes_max\":0,\"output_bytes_max\":128,\"records_max\":2,\"memory_bytes\":4096},\"time_budget_us\":1000}";
    const INPUT_BYTES: usize = 40;
    const CONFIG_BYTES: usize = 72;
    const OUTPUT_BYTES: usize = 128;
    const STATE_BYTES: usize = 0;
    type Memory = ::retrotap_sdk::Area<240>;
    type Input<'a> = Input;
    type Config<'a> = Config<'a>;
    type Reason = Reason;
    #[inline]
    fn input(area: &[u8]) -> Option<Self::Input<'_>> { Input::read(::retrotap_sdk::Slots::new(area)?) }
    #[inline]
    fn config(area: &[u8]) -> Option<Config<'_>> { Config::new(area) }
}
