//! The bytes of a list, by the draft's own examples.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tessera::oidc::status_list::encoding::{lst, statuses};

use crate::harness::inflate;

/// §4.1: size, those that are INVALID, the bytes' beginning and `lst`; and Appendix C.1.
const EXAMPLES: [(usize, &[usize], &str); 2] = [
    (16, &[0, 3, 4, 5, 7, 8, 9, 13, 15], "eNrbuRgAAhcBXQ"),
    (
        1 << 20,
        &[0, 1_993, 25_460, 159_495, 495_669, 554_353, 645_645, 723_232, 854_545, 934_534, 1_000_345],
        "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IA\
         AAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpLAAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb",
    ),
];

fn read(lst: &str) -> Vec<u8> {
    inflate::zlib(&URL_SAFE_NO_PAD.decode(lst).unwrap())
}

#[test]
fn the_drafts_examples() {
    assert_eq!(statuses(16, EXAMPLES[0].1.iter().copied()), [0xb9, 0xa3]);
    for (size, invalid, example) in EXAMPLES {
        let ours = statuses(size, invalid.iter().copied());
        assert_eq!(ours.len(), size / 8);
        assert!(ours == read(example), "the bytes that the draft compressed");
        assert!(ours == read(&lst(&ours).unwrap()), "what we compress is read by others");
        assert!(lst(&ours).unwrap().starts_with("eN"), "the header for the highest level");
    }
}

/// However many are revoked: nothing, all, every second one, and a pattern that hardly compresses.
#[test]
fn every_list_comes_out_as_it_went_in() {
    let mut seed = 1u32;
    let mut random = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 31 == 1
    };
    let noise: Vec<usize> = (0..1 << 17).filter(|_| random()).collect();
    assert!((60_000..70_000).contains(&noise.len()));
    let all: Vec<usize> = (0..1 << 17).collect();
    let patterns: [(&[usize], usize); 4] = [(&[], 60), (&all, 60), (&[131_071], 80), (&noise, 22_000)];
    for (invalid, longest) in patterns {
        let bytes = statuses(1 << 17, invalid.iter().copied());
        assert_eq!(bytes.iter().map(|byte| byte.count_ones() as usize).sum::<usize>(), invalid.len());
        let lst = lst(&bytes).unwrap();
        assert!(read(&lst) == bytes);
        assert!(lst.len() <= longest, "{} characters", lst.len());
    }
    assert_eq!(statuses(16, [16, 1_000_000, usize::MAX]), [0, 0], "what is not in the list sets nothing");
}
