//! Parses the response of an LFS server's batch API.

#![no_main]

use lfs::fuzzing::batch;
use libfuzzer_sys::fuzz_target;
use tree::LfsOid;
use url::Url;

fuzz_target!(|input: &[u8]| {
    let server = Url::parse("https://git.example.com/a/b.git/info/lfs").expect("a URL");
    let oid = |digit: &str| LfsOid::parse(&digit.repeat(64)).expect("an id");
    let objects = [(oid("a"), 1), (oid("b"), u64::MAX)];
    match batch(&server, input, &objects) {
        Ok(downloads) => {
            let mut oids: Vec<_> = downloads.iter().map(|(oid, _)| oid.clone()).collect();
            oids.sort();
            assert_eq!(oids, objects.map(|(oid, _)| oid));
            for (_, href) in downloads {
                assert!(matches!(href.scheme(), "https" | "http") && href.has_host());
            }
        }
        // The server's text in a message is cut.
        Err(error) => assert!(error.to_string().len() < 2_000, "{error}"),
    }
});
