use super::*;
use crate::client::door::Told;
use crate::link::ConnId;
use crate::machine::{MachineId, OpId};
use proptest::collection::vec;
use proptest::prelude::*;

fn kept(kind: u8, number: u64, bytes: Vec<u8>) -> Kept {
    let what = match kind {
        0 => What::Accepted(ConnId(number)),
        1 => What::JobDone { number, done: bytes.clone().into() },
        2 => What::Command {
            machine: MachineId(number as u32),
            name: "Reading::TakeItem".into(),
            args: bytes.clone().into(),
        },
        3 => What::Take(OpId(number)),
        _ => What::WantTopic(format!("t{number}").into()),
    };
    let outcome = match kind {
        0 => Outcome::Nothing,
        _ => Outcome::Told(Told::of(&number)),
    };
    let since = Since { nanos: number as i64 - 5, wall_ms: -(number as i64) };
    let deadline = number
        .is_multiple_of(2)
        .then(|| number.is_multiple_of(4).then(|| Time::START + Duration::from_nanos(number)));
    Kept { now: Some(since), what, seen: vec![bytes.into(); kind.into()], outcome, deadline }
}

fn file(entries: &[Kept], flush: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut blocks = Blocks::begin(&mut bytes, &Head::new(false, vec![("seed".into(), vec![7])])).unwrap();
    for (at, entry) in entries.iter().enumerate() {
        blocks.add(entry);
        if at % flush == 0 {
            blocks.flush();
        }
    }
    blocks.end();
    bytes
}

fn read_again(bytes: &[u8]) -> (Vec<Kept>, Result<(), Unreadable>) {
    let mut entries = Vec::new();
    let (mut reading, head) = match Reading::begin(bytes) {
        Ok(begun) => begun,
        Err(error) => return (entries, Err(error)),
    };
    assert_eq!((head.settings, head.is_whole), (vec![("seed".into(), vec![7])], false));
    loop {
        match reading.next() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, Ok(())),
            Err(error) => return (entries, Err(error)),
        }
    }
}

fn text(entries: &[Kept]) -> Vec<String> {
    entries.iter().map(|entry| format!("{entry:?}")).collect()
}

fn entries() -> impl Strategy<Value = Vec<Kept>> {
    vec((0..5u8, 0..1000u64, vec(any::<u8>(), 0..50)), 0..20)
        .prop_map(|all| all.into_iter().map(|(kind, number, bytes)| kept(kind, number, bytes)).collect())
}

/// A disk with so much room.
struct Disk {
    room: usize,
    tried: usize,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tried += 1;
        let Some(room) = self.room.checked_sub(bytes.len()) else {
            return Err(io::ErrorKind::StorageFull.into());
        };
        self.room = room;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_it_and_is_told_once() {
    let head = Head::new(false, Vec::new());
    let mut disk = Disk { room: 200, tried: 0 };
    let mut blocks = Blocks::begin(&mut disk, &head).unwrap();
    let mut write = |number| {
        blocks.add(&kept(0, number, Vec::new()));
        blocks.flush();
        blocks.take_failure().map(|error| error.kind())
    };
    let told: Vec<_> = (0..100).filter_map(&mut write).collect();
    assert_eq!(told, [io::ErrorKind::StorageFull]);
    blocks.end();
    assert!(blocks.take_failure().is_none());
    let tried = disk.tried;
    assert!(tried < 50, "{tried} times");
}

proptest! {
    #[test]
    fn what_is_written_is_read(entries in entries(), flush in 1..5usize) {
        let (again, end) = read_again(&file(&entries, flush));
        prop_assert!(end.is_ok());
        prop_assert_eq!(text(&again), text(&entries));
    }

    #[test]
    fn what_is_cut_off_is_read_up_to_there(entries in entries(), flush in 1..5usize, cut in any::<prop::sample::Index>()) {
        let bytes = file(&entries, flush);
        let (again, end) = read_again(&bytes[..cut.index(bytes.len())]);
        prop_assert!(matches!(end, Err(Unreadable::CutOff { .. } | Unreadable::NoRecording)), "{:?}", end);
        prop_assert_eq!(text(&again), text(&entries[..again.len()]));
    }

    #[test]
    fn a_changed_byte_is_noticed(entries in entries(), at in any::<prop::sample::Index>(), by in 1..=255u8) {
        let mut bytes = file(&entries, 3);
        let at = at.index(bytes.len());
        bytes[at] ^= by;
        let (again, end) = read_again(&bytes);
        prop_assert!(end.is_err());
        prop_assert_eq!(text(&again), text(&entries[..again.len()]));
    }
}
