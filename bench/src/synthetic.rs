//! A repository that looks like source code, and is the same each time.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use crate::error::Error;
use crate::peers;

/// How many files of a hundred have sizes in which range, in bytes: about 8 KB on average, the median at 3 KB.
const SIZES: [(u64, u64, u64); 6] = [
    (10, 40, 400),
    (22, 400, 1_500),
    (34, 1_500, 5_000),
    (23, 5_000, 15_000),
    (9, 15_000, 40_000),
    (2, 40_000, 200_000),
];
/// After the first commit so many follow, each of which changes one file of [`COMMITS`].
const COMMITS: u64 = 20;
/// How many files each commit of the history changes.
const CHANGED: u64 = 2;
const WORDS: u64 = 3_000;

/// Makes the bare repository `folder` of `files` files, with a history of `commits` small commits.
pub fn make(folder: &Path, files: u32, commits: u32) -> Result<(), Error> {
    let bar = indicatif::ProgressBar::new_spinner().with_message(format!(
        "making a repository of {files} files and {commits} commits"
    ));
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
        write(&mut BufWriter::new(stdin), files, commits).map_err(Error::io("write", folder))?;
    }
    let status = child.wait().map_err(Error::io("write", folder))?;
    if !status.success() {
        return Err(Error::Failed {
            command: format!("{import:?}"),
            status,
            stderr: String::new(),
        });
    }
    // As a git host keeps it: one pack with deltas. A history has its deltas already, and looking for others takes long.
    let mut repack = peers::git();
    let how = if commits == 0 { "-adfq" } else { "-adq" };
    repack.arg("-C").arg(folder).args(["repack", how]);
    peers::output(&mut repack)?;
    bar.finish_and_clear();
    Ok(())
}

/// Writes the stream for git fast-import.
fn write(out: &mut impl Write, files: u32, commits: u32) -> std::io::Result<()> {
    for number in 0..=COMMITS {
        commit(out, number)?;
        for file in (0..u64::from(files)).filter(|file| number == 0 || file % COMMITS == number - 1) {
            writeln!(out, "M {} inline {}", mode(file), path(file))?;
            data(out, &content(file, number))?;
        }
    }
    history(out, files, commits)?;
    writeln!(out, "done")?;
    out.flush()
}

/// Writes a long history, as it grows in years: each commit changes the first line of some files.
fn history(out: &mut impl Write, files: u32, commits: u32) -> std::io::Result<()> {
    let mut random = Random::new(u64::from(files));
    // The file that each change is of. The one before a link is none.
    let changes: Vec<u64> = (0..u64::from(commits) * CHANGED)
        .map(|_| random.below(u64::from(files)))
        .map(|file| if mode(file) == LINK { file - 1 } else { file })
        .collect();
    // git fast-import makes a blob a delta of the one before: a file's versions come together, the newest first.
    let mut by_file: Vec<usize> = (0..changes.len()).rev().collect();
    by_file.sort_by_key(|change| changes[*change]);
    let mut current = None;
    let mut text = Vec::new();
    for change in by_file {
        let file = changes[change];
        if current != Some(file) {
            current = Some(file);
            text = content(file, 0);
        }
        writeln!(out, "blob\nmark :{}", change + 1)?;
        data(out, &[format!("// change {change}\n").as_bytes(), &text].concat())?;
    }
    let mut mark = 0;
    for (number, files) in changes.chunks(CHANGED as usize).enumerate() {
        commit(out, COMMITS + 1 + number as u64)?;
        for file in files {
            mark += 1;
            writeln!(out, "M {} :{mark} {}", mode(*file), path(*file))?;
        }
    }
    Ok(())
}

fn commit(out: &mut impl Write, number: u64) -> std::io::Result<()> {
    writeln!(out, "commit refs/heads/main")?;
    let time = 1_700_000_000 + number;
    writeln!(out, "committer Bench <bench@example.com> {time} +0000")?;
    data(out, format!("Change {number}").as_bytes())
}

const LINK: &str = "120000";

fn mode(file: u64) -> &'static str {
    match file % 200 {
        7 => "100755",
        8 => LINK,
        _ => "100644",
    }
}

fn data(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    writeln!(out, "data {}", bytes.len())?;
    out.write_all(bytes)?;
    writeln!(out)
}

/// Nested folders with up to some dozens of files each.
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

/// Words in lines as a program has them; some files are noise, as pictures are.
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
            // The product of two makes some words much more frequent than others.
            let rank = random.below(WORDS) * random.below(WORDS) / WORDS;
            text.extend(word(rank).into_bytes());
            text.push(b" .,(=;"[random.below(6) as usize]);
        }
        text.push(b'\n');
    }
    text
}

/// The word of a number, of two to five syllables.
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
