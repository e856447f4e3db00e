//! Records a command on a terminal as an animated SVG for the README.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anstyle_svg::Term;
use vt100::{Color, Parser, Screen};

use crate::error::Error;

/// How many moments of the command the picture has at most.
const MAX_FRAMES: usize = 14;
/// How long the end is shown before the picture begins again.
const END: Duration = Duration::from_secs(6);

/// What to record.
#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// The file of the SVG.
    file: PathBuf,
    /// The command as the picture shows it [default: as it is run].
    #[arg(long)]
    shown: Option<String>,
    /// The width of the terminal, in columns.
    #[arg(long, default_value_t = 110)]
    columns: u16,
    /// The height of the terminal, in lines. Earlier lines scroll out of the picture.
    #[arg(long, default_value_t = 32)]
    rows: u16,
    /// The command, with its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What was on the terminal, and when.
struct Frame {
    at: Duration,
    text: String,
}

/// Runs the command and writes the picture.
pub fn run(args: &RecordArgs) -> Result<(), Error> {
    let frames = record(args)?;
    std::fs::write(&args.file, picture(&thin_out(frames))).map_err(Error::io("write", &args.file))
}

/// Runs the command on a terminal of its own. Returns each different content of the terminal.
fn record(args: &RecordArgs) -> Result<Vec<Frame>, Error> {
    let terminal =
        |error: pty_process::Error| Error::io("open", Path::new("a terminal"))(std::io::Error::other(error));
    let (program, arguments) = args.command.split_first().ok_or(Error::Record {
        what: "there is no command".to_owned(),
    })?;
    let (mut pty, pts) = pty_process::blocking::open().map_err(terminal)?;
    pty.resize(pty_process::Size::new(args.rows, args.columns))
        .map_err(terminal)?;
    let mut command = pty_process::blocking::Command::new(program)
        .args(arguments)
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR");
    // `cargo run` has set them for this program alone. Build scripts that read them would run again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command = command.env_remove(&name);
        }
    }
    let mut child = command.spawn(pts).map_err(terminal)?;
    let mut parser = Parser::new(args.rows, args.columns, 0);
    let shown = args.shown.clone().unwrap_or_else(|| {
        let words: Vec<_> = args.command.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    });
    parser.process(format!("\x1b[1m$ {shown}\x1b[0m\r\n").as_bytes());
    let began = Instant::now();
    let mut frames: Vec<Frame> = Vec::new();
    let mut bytes = [0; 4 << 10];
    // On Linux the read fails once the command has ended.
    while let Ok(count @ 1..) = pty.read(&mut bytes) {
        parser.process(&bytes[..count]);
        let text = ansi(parser.screen());
        if frames.last().is_none_or(|last| last.text != text) {
            frames.push(Frame {
                at: began.elapsed(),
                text,
            });
        }
    }
    let status = child.wait().map_err(Error::io("run", Path::new(program)))?;
    if !status.success() {
        return Err(Error::Record {
            what: format!("the command ended with {status}"),
        });
    }
    Ok(frames)
}

/// Returns as many frames as the picture may have, evenly over the time, with the last one.
fn thin_out(frames: Vec<Frame>) -> Vec<Frame> {
    let Some(end) = frames.last().map(|last| last.at) else {
        return frames;
    };
    let apart = end / MAX_FRAMES as u32;
    let mut kept: Vec<Frame> = Vec::new();
    for frame in frames {
        match kept.last_mut() {
            // A frame that is shown only for a moment is replaced by the next one.
            Some(last) if frame.at < last.at + apart => last.text = frame.text,
            _ => kept.push(frame),
        }
    }
    kept
}

/// Returns the screen as text with escape sequences for its styles, and none that move the cursor.
fn ansi(screen: &Screen) -> String {
    let (rows, columns) = screen.size();
    let mut text = String::new();
    for row in 0..rows {
        let mut line = String::new();
        let mut current = Style::new();
        for column in 0..columns {
            let Some(cell) = screen.cell(row, column) else {
                continue;
            };
            if cell.is_wide_continuation() {
                continue;
            }
            let mut style = Style::new().fg_color(color(cell.fgcolor()).map(Into::into));
            if cell.bold() {
                style = style.bold();
            }
            if cell.dim() {
                style = style.dimmed();
            }
            if style != current {
                // Writing to a string does not fail.
                let _ = write!(line, "{current:#}{style}");
                current = style;
            }
            line.push_str(if cell.has_contents() { cell.contents() } else { " " });
        }
        let _ = write!(line, "{current:#}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// Returns a colour that the command uses, or `None` for any other.
fn color(color: Color) -> Option<AnsiColor> {
    match color {
        Color::Idx(1) => Some(AnsiColor::Red),
        Color::Idx(2) => Some(AnsiColor::Green),
        Color::Idx(3) => Some(AnsiColor::Yellow),
        Color::Idx(6) => Some(AnsiColor::Cyan),
        _ => None,
    }
}

/// Returns one SVG, which shows one frame after another. It has a background of its own, for light and dark pages
/// alike.
fn picture(frames: &[Frame]) -> String {
    let end = frames.last().map_or(END, |last| last.at + END);
    let percent = |at: Duration| at.as_secs_f64() / end.as_secs_f64() * 100.0;
    let drawn: Vec<String> = frames
        .iter()
        .map(|frame| Term::new().render_svg(&frame.text))
        .collect();
    // If the reader prefers no motion, the last frame is shown.
    let mut moves = String::from("@media (prefers-reduced-motion: no-preference) {\n");
    let mut texts = String::new();
    for (index, svg) in drawn.iter().enumerate() {
        let is_last = index + 1 == drawn.len();
        let from = if index == 0 {
            0.0
        } else {
            percent(frames[index].at)
        };
        let (to, after) = match frames.get(index + 1) {
            Some(next) => (percent(next.at), "hidden"),
            None => (100.0, "visible"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            moves,
            ".f{index} {{ animation: f{index} {:.1}s step-end infinite }}\n@keyframes f{index} {{ 0% {{ visibility: hidden }} \
             {from:.2}% {{ visibility: visible }} {to:.2}% {{ visibility: {after} }} }}",
            end.as_secs_f64(),
        );
        let hidden = if is_last { "" } else { r#" visibility="hidden""# };
        let _ = writeln!(texts, r#"<g class="f{index}"{hidden}>{}</g>"#, text_of(svg));
    }
    moves.push_str("}\n");
    // The SVG has the styles and the width of all frames, and the height of the tallest one.
    let lines: Vec<&str> = frames.iter().map(|frame| frame.text.as_str()).collect();
    let all = Term::new().render_svg(&lines.join("\n"));
    let height = drawn.iter().map(|svg| pixels(svg, "height")).max().unwrap_or(0);
    let width = pixels(&all, "width");
    let (_, rest) = all.split_once('>').unwrap_or_default();
    let rest = rest
        .replacen(text_of(rest), &texts, 1)
        .replacen("</style>", &format!("{moves}</style>"), 1);
    format!(r#"<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">{rest}"#)
}

/// Returns the text of a drawn terminal.
fn text_of(svg: &str) -> &str {
    let begin = svg.find("<text").unwrap_or(0);
    let end = svg.find("</text>").map_or(svg.len(), |end| end + "</text>".len());
    &svg[begin..end]
}

/// Returns the width or height of a drawn terminal.
fn pixels(svg: &str, name: &str) -> u32 {
    let value = svg.split_once(&format!("{name}=\"")).map_or("", |(_, rest)| rest);
    let digits = value.find(|char: char| !char.is_ascii_digit()).unwrap_or(0);
    value[..digits].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_on_a_terminal_becomes_a_picture_that_moves() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("picture.svg");
        let script = "test -t 2 && printf 'working\\r'; sleep 0.3; printf '\\033[32mdone\\033[0m    <1>\\n'";
        let args = |script: &str| RecordArgs {
            file: file.clone(),
            shown: Some("try it".to_owned()),
            columns: 40,
            rows: 5,
            command: ["sh", "-c", script].map(Into::into).into(),
        };
        run(&args(script)).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        for wanted in [
            "<svg",
            "$ try it",
            "working",
            "done",
            "&lt;1&gt;",
            "fg-green",
            "@keyframes f1",
        ] {
            assert!(svg.contains(wanted), "{wanted}: {svg}");
        }
        assert!(run(&args("exit 3")).is_err());
    }

    #[test]
    fn a_picture_has_few_frames_and_the_last_one() {
        let frames = (0..1_000_u64).map(|number| Frame {
            at: Duration::from_millis(number * 7),
            text: number.to_string(),
        });
        let kept = thin_out(frames.collect());
        assert!(
            (MAX_FRAMES - 1..=MAX_FRAMES + 1).contains(&kept.len()),
            "{}",
            kept.len()
        );
        assert_eq!(kept.last().unwrap().text, "999");
    }
}
