//! Memory is taken when a framer is made, and never for a byte.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use retrotap_adapters::framing::{
    BytePredicate, ChecksumKind, ChecksumSpec, Delimited, Endianness, Fixed, Framer, FramingKind,
    FramingSpec, IdleGap, LengthPrefixed, LineErrors, Received,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the allocator's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn pushing_bytes_allocates_nothing() {
    let fixed = Fixed {
        positions: vec![
            BytePredicate::only(1),
            BytePredicate::ANY,
            BytePredicate::ANY,
        ],
    };
    let delimited = Delimited {
        start: vec![2],
        end: vec![16, 3],
        escape: Some(16),
        frame_bytes_max: 40,
    };
    let prefixed = LengthPrefixed {
        header: vec![BytePredicate::only(1)],
        offset: 1,
        width: 1,
        endianness: Endianness::Big,
        correction: 3,
        frame_bytes_max: 40,
    };
    let idle_gap = IdleGap {
        gap_ns: 10,
        frame_bytes_max: 40,
    };
    let kinds = [
        FramingKind::Fixed(fixed),
        FramingKind::Delimited(delimited),
        FramingKind::LengthPrefixed(prefixed),
        FramingKind::IdleGap(idle_gap),
    ];
    for kind in kinds {
        let is_delimited = matches!(kind, FramingKind::Delimited(_));
        let checksum = Some(ChecksumSpec {
            after_end: is_delimited,
            ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
        });
        for checksum in [None, checksum] {
            let mut framer = Framer::new(&FramingSpec {
                checksum,
                ..FramingSpec::new(kind.clone())
            })
            .unwrap();
            let before = ALLOCATIONS.get();
            let (mut noise, mut events) = (1u32, 0);
            for index in 0..20_000u64 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let byte = [1, 2, 3, 16, 0, 5, 17, 1][(noise >> 24) as usize % 8];
                let t_ns = index * 2 + index / 30 * 20;
                framer.push(
                    Received {
                        byte,
                        errors: LineErrors::NONE,
                        t_ns,
                    },
                    &mut |_| events += 1,
                );
            }
            assert_eq!(ALLOCATIONS.get(), before, "{kind:?}");
            assert!(events > 100);
        }
    }
}
