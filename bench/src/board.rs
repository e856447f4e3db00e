//! Takes the pictures of the board for the README, of pushes that are made up.

use std::path::{Path, PathBuf};

use board::Board;
use board::samples::made_up;
use browser::{Browser, Scheme};
use chrono::Utc;

use crate::error::Error;

/// Where the pictures go.
#[derive(Debug, clap::Args)]
pub struct BoardArgs {
    /// The folder of `board.png` and `board-push.png`.
    folder: PathBuf,
    /// Take pictures of each page instead, on a narrow and a wide screen, light and dark: for whoever changes the
    /// style.
    #[arg(long)]
    all: bool,
}

/// Serves a board, and takes its pictures.
pub fn run(args: &BoardArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(Error::io("start", Path::new("tokio")))?;
    runtime.block_on(pictures(args))
}

async fn pictures(args: &BoardArgs) -> Result<(), Error> {
    std::fs::create_dir_all(&args.folder).map_err(Error::io("make", &args.folder))?;
    let (pushes, id) = made_up(Utc::now()).await;
    let board = Board::of(pushes).listen(0).await?;
    let url = board.url();
    let server = tokio::spawn(board.serve());
    let browser = Browser::start().await;
    let origin = url.split("/?").next().unwrap_or_default().to_owned();
    browser.open(&url).await;
    let push = format!("/pushes/{id}");
    let mut taken: Vec<(String, String, (u32, u32), Scheme)> = vec![
        ("board".to_owned(), "/".to_owned(), (1280, 800), Scheme::Light),
        ("board-push".to_owned(), push.clone(), (1280, 800), Scheme::Dark),
    ];
    if args.all {
        let replay = format!("{push}/replay");
        let pages = [
            ("list", "/"),
            ("failed", "/?status=failed"),
            ("wrong", "/?since=yesterday"),
            ("push", &push),
            ("replay", &replay),
            ("commit", "/commits?commit=0000000"),
        ];
        taken.clear();
        for (name, path) in pages {
            for scheme in [Scheme::Light, Scheme::Dark] {
                for (width, height) in [(360, 2200), (1920, 1200)] {
                    let name = format!("{name}-{width}-{scheme:?}").to_lowercase();
                    taken.push((name, path.to_owned(), (width, height), scheme));
                }
            }
        }
    }
    for (name, path, (width, height), scheme) in taken {
        browser.show(width, height, scheme).await;
        browser.open(&format!("{origin}{path}")).await;
        let file = args.folder.join(name).with_extension("png");
        std::fs::write(&file, browser.picture().await).map_err(Error::io("write", &file))?;
    }
    browser.end().await;
    server.abort();
    Ok(())
}
