//! Makes a repository that resembles source code, and is the same each time.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use crate::error::Error;
use crate::peers;

/// How many of a hundred files have a size in a range, in bytes. The average is about 8 KB, and the median 3 KB.
const SIZES: [(u64, u64, u64); 6] = [
    (10, 40, 400),
    (22, 400, 1_500),
    (34, 1_500, 5_000),
    (23, 5_000, 15_000),
    (9, 15_000, 40_000),
    (2, 40_000, 200_000),
];
/// The number of commits after the first one. Each changes one of [`COMMITS`] files.
const COMMITS: u64 = 20;
const WORDS: u64 = 3_000;

/// Makes the bare repository `folder` of `files` files.
pub fn make(folder: &Path, files: u32) -> Result<(), Error> {
    let bar =
        indicatif::ProgressBar::new_spinner().with_message(format!("making a repository of {files} files"));
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let mut init = peers::git();
    init.args(["init", "--quiet", "--bare", "--initial-branch=main"])
        .arg(folder);
    peers::output(&mut init)?;
    let mut import = peers::git();
    import
        .arg("-C")
        .arg(folder)
        .args(["fast-import", "--quiet", "--done"])
        .stdin(Stdio::piped());
    let mut child = import.spawn().map_err(|source| Error::Start {
        program: "git".to_owned(),
        source,
    })?;
    if let Some(stdin) = child.stdin.take() {
        write(&mut BufWriter::new(stdin), files).map_err(Error::io("write", folder))?;
    }
    let status = child.wait().map_err(Error::io("write", folder))?;
    if !status.success() {
        return Err(Error::Failed {
            command: format!("{import:?}"),
            status,
            stderr: String::new(),
        });
    }
    // A git host keeps one pack with deltas.
    let mut repack = peers::git();
    repack.arg("-C").arg(folder).args(["repack", "-adfq"]);
    peers::output(&mut repack)?;
    bar.finish_and_clear();
    Ok(())
}

/// Writes the stream for git fast-import.
fn write(out: &mut impl Write, files: u32) -> std::io::Result<()> {
    for commit in 0..=COMMITS {
        writeln!(out, "commit refs/heads/main")?;
        writeln!(
            out,
            "committer Bench <bench@example.com> {} +0000",
            1_700_000_000 + commit
        )?;
        data(out, format!("Change {commit}").as_bytes())?;
        for file in (0..u64::from(files)).filter(|file| commit == 0 || file % COMMITS == commit - 1) {
            let kind = file % 200;
            let mode = match kind {
                7 => "100755",
                8 => "120000",
                _ => "100644",
            };
            writeln!(out, "M {mode} inline {}", path(file))?;
            data(out, &content(file, commit))?;
        }
    }
    writeln!(out, "done")?;
    out.flush()
}

fn data(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    writeln!(out, "data {}", bytes.len())?;
    out.write_all(bytes)?;
    writeln!(out)
}

/// Returns the path of a file, in nested folders with up to some dozens of files each.
fn path(file: u64) -> String {
    let mut random = Random::new(file / 24);
    let mut path = String::new();
    for depth in 0..random.below(5) {
        path.push_str(&word(random.below(8) + 40 * depth));
        path.push('/');
    }
    let extension = ["rs", "c", "h", "py", "md", "json"][(file % 6) as usize];
    format!("{path}{}_{file}.{extension}", word(file % WORDS))
}

/// Returns the content of a file: lines of words, as in a program, or for some files noise, as in pictures.
fn content(file: u64, commit: u64) -> Vec<u8> {
    let mut random = Random::new(file ^ 0x5eed);
    match file % 200 {
        8 => return format!("../target/{}", word(random.below(WORDS))).into_bytes(),
        9 => return Vec::new(),
        _ => {}
    }
    let mut part = random.below(100);
    let mut size = 100;
    for (share, from, to) in SIZES {
        if part < share {
            size = from + random.below(to - from);
            break;
        }
        part -= share;
    }
    if file % 50 == 10 {
        return std::iter::repeat_with(|| random.next() as u8)
            .take(size as usize)
            .collect();
    }
    let mut text = Vec::with_capacity(size as usize + 100);
    if commit > 0 {
        text.extend(format!("// changed by {commit}\n").into_bytes());
    }
    while (text.len() as u64) < size {
        text.extend(std::iter::repeat_n(b' ', 4 * random.below(4) as usize));
        for _ in 0..=random.below(7) {
            // The product of two random numbers makes some words much more frequent than others.
            let rank = random.below(WORDS) * random.below(WORDS) / WORDS;
            text.extend(word(rank).into_bytes());
            text.push(b" .,(=;"[random.below(6) as usize]);
        }
        text.push(b'\n');
    }
    text
}

/// Returns the word of a number, with two to five syllables.
fn word(number: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ka", "to", "re", "si", "mu", "len", "par", "ob", "ject", "ex", "ve", "in", "do", "ba", "str", "ig",
    ];
    let mut random = Random::new(number);
    (0..2 + random.below(4))
        .map(|_| SYLLABLES[random.below(16) as usize])
        .collect()
}

/// splitmix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d).wrapping_add(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
