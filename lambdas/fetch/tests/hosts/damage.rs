//! Hosts with malformed responses.

use domain::error::Code;
use openssl::sha::sha1;
use testkit::http::{Host, Response, endless_head, pkt, refs, sending};
use testkit::ssh::Sshd;
use tokio::io::AsyncWriteExt;

use crate::scene::{Ask, PASSWORD, Scene};

/// Returns the pack with the right checksum at its end.
fn sealed(pack: &[u8]) -> Vec<u8> {
    [pack, &sha1(pack)].concat()
}

async fn code_of_pack(scene: &Scene, commit: &str, pack: &[u8]) -> Code {
    let host = sending(commit, pack).await;
    scene.code(&Ask::new(&host.url(), commit)).await
}

#[tokio::test]
async fn garbage_instead_of_http_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    for garbage in [
        "\0\x01\x02\x03garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "220 mail ready\r\n",
    ] {
        let host =
            Host::serve(async |_, mut connection| connection.write_all(garbage.as_bytes()).await).await;
        let code = scene.code(&Ask::new(&host.url(), &commit)).await;
        assert_eq!(code, Code::RepositoryInvalid, "{garbage:?}");
    }
}

#[tokio::test]
async fn garbage_instead_of_gits_protocol_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let service = pkt("# service=git-upload-pack\n");
    let bodies = [
        b"garbage".to_vec(),
        b"zzzz".to_vec(),
        b"0001".to_vec(),
        b"0004".to_vec(),
        b"00000000".to_vec(),
        pkt("garbage\n"),
        [&service[..], b"0000", &pkt("garbage\n"), b"0000"].concat(),
        [
            &service[..],
            b"0000",
            &pkt(format!("{commit} refs/heads/main")),
            b"zzzz",
        ]
        .concat(),
        [&service[..], b"0000", &pkt("PACK"), b"0000"].concat(),
        [&service[..], b"0000", &pkt("ACK nothing"), b"0000"].concat(),
    ];
    for body in bodies {
        let text = String::from_utf8_lossy(&body).into_owned();
        let host = Host::answering(move |request| Response::git(request, body.clone())).await;
        let code = scene.code(&Ask::new(&host.url(), &commit)).await;
        assert_eq!(code, Code::RepositoryInvalid, "{text:?}");
    }
}

#[tokio::test]
async fn garbage_instead_of_a_pack_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    for pack in [b"garbage that is long enough for a head".to_vec(), vec![0; 4_096]] {
        assert_eq!(
            code_of_pack(&scene, &commit, &pack).await,
            Code::RepositoryInvalid
        );
    }
    for body in ["garbage", "0000", "0008NAK\n", ""] {
        let refs = refs(&commit, "");
        let host = Host::answering(move |request| match request.method.as_str() {
            "GET" => Response::git(request, refs.clone()),
            _ => Response::git(request, body),
        })
        .await;
        let code = scene.code(&Ask::new(&host.url(), &commit)).await;
        // If nothing came the host has closed the connection.
        assert!(
            matches!(code, Code::RepositoryInvalid | Code::GitHostUnreachable),
            "{body:?}: {code}"
        );
    }
}

#[tokio::test]
async fn a_login_page_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let host = Host::answering(|_| {
        Response::new(
            200,
            &["Content-Type: text/html"],
            "<html><form action=/users/sign_in>",
        )
    })
    .await;
    let ask = Ask::new(&host.url(), &commit).with_password(PASSWORD);
    let (code, told) = scene.refused(&ask).await;
    assert_eq!(code, Code::RepositoryInvalid);
    assert!(told.contains("text/html"), "{told}");
    assert!(host.requests().iter().all(|request| !request.has_credentials()));
}

#[tokio::test]
async fn a_host_without_smart_http_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let refs = format!("{commit}\trefs/heads/main\n");
    let host =
        Host::answering(move |_| Response::new(200, &["Content-Type: text/plain"], refs.clone())).await;
    assert_eq!(
        scene.code(&Ask::new(&host.url(), &commit)).await,
        Code::RepositoryInvalid
    );
}

#[tokio::test]
async fn a_pack_with_any_byte_flipped_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let pack = scene.pack(&commit);
    for position in (0..pack.len()).step_by(7) {
        let mut damaged = pack.clone();
        damaged[position] ^= 0x40;
        let code = code_of_pack(&scene, &commit, &damaged).await;
        assert_eq!(code, Code::RepositoryInvalid, "byte {position} of {}", pack.len());
    }
}

#[tokio::test]
async fn a_pack_that_ends_early_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let pack = scene.pack(&commit);
    for length in [0, 4, 12, 13, pack.len() / 2, pack.len() - 20, pack.len() - 1] {
        let code = code_of_pack(&scene, &commit, &pack[..length]).await;
        assert_eq!(code, Code::RepositoryInvalid, "{length} of {} bytes", pack.len());
    }
}

#[tokio::test]
async fn a_pack_that_says_more_or_fewer_objects_than_it_has_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let mut pack = scene.pack(&commit);
    pack.truncate(pack.len() - 20);
    assert_eq!(pack[8..12], 3_u32.to_be_bytes());
    for (objects, expected) in [
        (0, Code::RepositoryInvalid),
        (2, Code::RepositoryInvalid),
        (4, Code::RepositoryInvalid),
        (1_000_000, Code::RepositoryInvalid),
        // libgit2 allocates memory for this many objects at once.
        (u32::MAX, Code::TransferDied),
    ] {
        pack[8..12].copy_from_slice(&u32::to_be_bytes(objects));
        let code = code_of_pack(&scene, &commit, &sealed(&pack)).await;
        assert_eq!(code, expected, "{objects} objects");
    }
}

#[tokio::test]
async fn a_pack_of_something_else_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    let another = scene.commit("another", None);
    let empty = sealed(b"PACK\0\0\0\x02\0\0\0\0");
    for pack in [scene.pack(&another), empty] {
        assert_eq!(
            code_of_pack(&scene, &commit, &pack).await,
            Code::RepositoryInvalid
        );
    }
}

#[tokio::test]
async fn an_object_whose_size_is_absurd_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    // A commit of 2^60 bytes, and one whose size has more digits than any integer.
    for size in [
        &[0x9f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f][..],
        &[0xff; 30],
    ] {
        let pack = sealed(
            &[
                b"PACK\0\0\0\x02\0\0\0\x01",
                size,
                &[0x78, 0x01, 0x03, 0, 0, 0, 0, 1],
            ]
            .concat(),
        );
        assert_eq!(
            code_of_pack(&scene, &commit, &pack).await,
            Code::RepositoryInvalid
        );
    }
}

#[tokio::test]
async fn a_delta_of_nothing_is_invalid() {
    let (scene, commit) = Scene::with_commit();
    // The first delta is of an object that is not sent, and the second one of an offset before the pack.
    let deflated = [0x78, 0x01, 0x01, 0x01, 0, 0xfe, 0xff, 0, 0, 0x01, 0, 0x01];
    for delta in [
        [vec![0x71], vec![7; 20]].concat(),
        vec![0x61, 0x7f],
        vec![0x61, 0x00],
    ] {
        let pack = sealed(&[b"PACK\0\0\0\x02\0\0\0\x01", &delta[..], &deflated].concat());
        assert_eq!(
            code_of_pack(&scene, &commit, &pack).await,
            Code::RepositoryInvalid
        );
    }
}

#[tokio::test]
async fn the_reason_of_a_host_that_fails_half_way_is_in_the_message() {
    let (scene, commit) = Scene::with_commit();
    let refs = refs(&commit, "side-band-64k");
    let host = Host::serve(move |request, mut connection| {
        let refs = refs.clone();
        async move {
            if request.method == "GET" {
                return Response::git(&request, refs).send(&mut connection).await;
            }
            if !request.is_done() {
                return Response::git(&request, "0000").send(&mut connection).await;
            }
            let lines = [
                b"0000".to_vec(),
                pkt("NAK\n"),
                pkt("\x02fatal: out of memory\n"),
                pkt("\x03aborting due to possible repository corruption on the remote side.\n"),
                b"0000".to_vec(),
            ];
            connection.write_all(endless_head(&request).as_bytes()).await?;
            connection.write_all(&lines.concat()).await
        }
    })
    .await;
    let (code, told) = scene.refused(&Ask::new(&host.url(), &commit)).await;
    // The host may have memory again in a minute.
    assert_eq!(code, Code::GitHostUnreachable, "{told}");
    assert!(told.contains("\"fatal: out of memory\""), "{told}");
}

/// Removes a file from a repository's objects, as a broken disk might.
fn lose_a_blob(scene: &Scene, commit: &str) -> String {
    let blob = scene.line(&["rev-parse", &format!("{commit}:file")], b"");
    let (folder, name) = blob.split_at(2);
    std::fs::remove_file(scene.repository().join("objects").join(folder).join(name)).unwrap();
    blob
}

#[tokio::test]
async fn the_hosts_reason_for_a_missing_object_is_in_the_message() {
    let (scene, commit) = Scene::with_commit();
    let blob = lose_a_blob(&scene, &commit);
    let over_http = Host::of(&scene).await;
    let over_ssh = Sshd::of(&scene).await;
    let url = over_http.url();
    for ask in [Ask::new(&url, &commit), Ask::over_ssh(&over_ssh, &commit)] {
        let (code, told) = scene.refused(&ask).await;
        assert_eq!(code, Code::RepositoryInvalid, "{told}");
        assert!(told.contains(&format!("unable to read {blob}")), "{told}");
    }
}
