//! The task of the fuzz targets: its result can be checked, and it is as large as one likes on the
//! way there and on the way back.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::{Sent, bulk};
use crate::task::{Options, Task, TaskInfo};

/// Says who it is and how many bytes it wants back.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    pub(super) id: u32,
    pub(super) wants: u32,
    pub(super) load: Vec<u8>,
    /// These do not travel.
    pub(super) options: Options,
}

/// No worker gives more than this, whatever it finds in its lane.
const MOST: u32 = 1 << 20;

impl Probe {
    pub(super) fn new(id: u32, wants: u32, load: usize) -> Self {
        Self {
            id,
            wants,
            load: pattern(id, load),
            options: Options::default(),
        }
    }
}

/// Bytes that no other probe has.
fn pattern(id: u32, len: usize) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().repeat(len.div_ceil(4));
    bytes.truncate(len);
    bytes
}

impl Task for Probe {
    type Output = (u32, String);
    const NAME: &'static str = "probe";
    const INFO: TaskInfo = TaskInfo::manual("probe");

    fn run(self) -> (u32, String) {
        let digit = char::from(b'0' + (self.id % 10) as u8);
        let text = digit.to_string().repeat(self.wants.min(MOST) as usize);
        let whole = self.load == pattern(self.id, self.load.len());
        (if whole { self.id } else { u32::MAX }, text)
    }

    fn options(&self) -> Options {
        self.options
    }
}

impl Serialize for Probe {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (self.id, self.wants, Load(&self.load)).serialize(out)
    }
}

/// The load as one block.
struct Load<'a>(&'a Vec<u8>);

impl Serialize for Load<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        bulk::serialize(self.0, out)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (id, wants, Sent(load)) = Deserialize::deserialize(input)?;
        let options = Options::default();
        Ok(Self {
            id,
            wants,
            load,
            options,
        })
    }
}
