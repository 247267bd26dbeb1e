//! How much memory a reply can have asked for that claims to be large.

use allocation_counter::measure;
use tempfile::TempDir;

use crate::body::through_the_transport;

/// What a connection, its buffers and a runtime take, and more than a thousand times what is sent.
const MOST: u64 = 1 << 20;

#[test]
fn claims_are_not_believed() {
    let folder = TempDir::new().unwrap();
    for claim in [
        "*2147483647\r\n",
        "*9223372036854775807\r\n$1\r\n",
        "$536870912\r\nx",
        "$9223372036854775807\r\n",
        "%2147483647\r\n+a\r\n",
        "~2147483647\r\n:1\r\n",
        ">2147483647\r\n+x\r\n",
        "=2147483647\r\ntxt:",
        "*1000000\r\n*1000000\r\n*1000000\r\n",
    ] {
        for manners in [0, 2] {
            let input = [&[manners], claim.as_bytes()].concat();
            let allocated = measure(|| assert!(through_the_transport(&input, folder.path()).is_some()));
            assert!(allocated.bytes_max < MOST, "{claim:?}: {allocated:?}");
        }
    }
}
