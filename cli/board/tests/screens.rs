//! Looks at each page in Chromium: on a narrow and a wide screen, in light and in dark colours.

use board::Board;
use board::samples::made_up;
use browser::{Browser, Scheme};
use chrono::Utc;
use serde_json::{Value, json};

/// Returns what is wrong with the page that is shown: what is wider than the screen, what cannot be read for its
/// contrast (WCAG 2, level AA), and what a screen reader could not name.
const WRONG: &str = r#"
const wrong = [];
const name = (element) => `<${element.localName} id="${element.id}" class="${element.getAttribute("class") ?? ""}"> ${element.textContent.trim().slice(0, 40)}`;
const all = [...document.body.querySelectorAll("*")];
const unseen = (element) => element.closest(".unseen, .skip, [aria-hidden=true], [hidden]") || !element.getClientRects().length;

const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) wrong.push(`the page is ${document.documentElement.scrollWidth} wide`);
for (const element of all) {
  if (unseen(element) || element.closest("pre, svg, thead")) continue;
  const { left, right } = element.getBoundingClientRect();
  if (right > width + 0.5 || left < -0.5) wrong.push(`from ${left} to ${right}: ${name(element)}`);
  if (element.scrollWidth > element.clientWidth + 1 && element.clientWidth && getComputedStyle(element).display !== "inline") {
    wrong.push(`the content is wider: ${name(element)}`);
  }
}

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (colour) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = (colour) => {
  const [red, green, blue] = rgba(colour).map((value) => {
    value /= 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const contrast = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const ground = (element) => {
  for (; element; element = element.parentElement) {
    const colour = getComputedStyle(element).backgroundColor;
    if (rgba(colour)[3] === 255) return colour;
  }
};
let read = 0;
for (const element of all) {
  const has = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
  if (!has || unseen(element)) continue;
  read += 1;
  const ratio = contrast(getComputedStyle(element).color, ground(element));
  if (ratio < 4.5) wrong.push(`the contrast is ${ratio.toFixed(2)}: ${name(element)}`);
}
for (const timeline of document.querySelectorAll(".bar svg")) {
  if (timeline.clientWidth < 200) wrong.push(`a bar has ${timeline.clientWidth} px`);
}
for (const bar of document.querySelectorAll("rect")) {
  const ratio = contrast(getComputedStyle(bar).fill, ground(bar));
  if (ratio < 3) wrong.push(`the contrast of a bar is ${ratio.toFixed(2)}: ${bar.getAttribute("class")}`);
}
for (const input of document.querySelectorAll("input:not([type=hidden])")) {
  const ratio = contrast(getComputedStyle(input).borderTopColor, ground(input.parentElement));
  if (input.type !== "checkbox" && ratio < 3) wrong.push(`the contrast of an edge is ${ratio.toFixed(2)}: ${input.id}`);
  if (!input.labels.length) wrong.push(`no label: ${input.name}`);
}

const ids = all.map((element) => element.id).filter(Boolean);
for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`twice: ${id}`);
for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
  const other = element.getAttribute("aria-labelledby") ?? element.getAttribute("aria-describedby");
  if (!document.getElementById(other)) wrong.push(`no ${other}`);
}
for (const element of document.querySelectorAll("a, button, svg[role=img], th[scope=row], h1, h2, h3")) {
  if (!(element.textContent.trim() || element.ariaLabel)) wrong.push(`no name: ${name(element)}`);
}
for (const time of document.querySelectorAll("time")) {
  if (Number.isNaN(Date.parse(time.dateTime))) wrong.push(`no time: ${time.dateTime}`);
}
if (document.querySelectorAll("h1").length !== 1) wrong.push("there is not one h1");
if (document.querySelectorAll("main").length !== 1) wrong.push("there is not one main");
return { wrong, read, dark: luminance(getComputedStyle(document.documentElement).backgroundColor) < 0.2 };
"#;

#[tokio::test]
async fn each_page_fits_its_screen_and_can_be_read_in_light_and_in_dark() {
    let (pushes, id) = made_up(Utc::now()).await;
    let board = Board::of(pushes).listen(0).await.unwrap();
    let url = board.url();
    let (origin, _) = url.split_once("/?").unwrap();
    tokio::spawn(board.serve());
    let browser = Browser::start().await;
    browser.open(&url).await;
    let client = browser.client();
    // The token is not shown, and does not stay in the history.
    assert_eq!(client.current_url().await.unwrap().as_str(), format!("{origin}/"));
    let commit = client.find(browser::Locator::Css("#last .commit")).await.unwrap();
    let commit = commit.attr("href").await.unwrap().unwrap();
    let push = format!("/pushes/{id}");
    let replay = format!("{push}/replay");
    let failed = "/?status=failed";
    let paths = [
        "/",
        failed,
        "/?since=yesterday",
        &push,
        &replay,
        &commit,
        "/commits?commit=0000000",
        "/pushes/none",
    ];
    for path in paths {
        browser.open(&format!("{origin}{path}")).await;
        for (width, scheme) in [
            (360, Scheme::Light),
            (360, Scheme::Dark),
            (820, Scheme::Light),
            (1000, Scheme::Dark),
            (1280, Scheme::Light),
            (1610, Scheme::Dark),
            (1920, Scheme::Light),
            (1920, Scheme::Dark),
        ] {
            browser.show(width, 900, scheme).await;
            let found: Value = client.execute(WRONG, vec![]).await.unwrap();
            assert_eq!(found["wrong"], json!([]), "{path} at {width} px, {scheme:?}");
            assert!(found["read"].as_u64().unwrap() > 5, "{path}: {found}");
            assert_eq!(found["dark"], scheme == Scheme::Dark, "{path}");
        }
    }
    // Pages that are not there are said to be so by the browser too.
    let complaints = browser.complaints().await;
    let others: Vec<_> = complaints
        .iter()
        .filter(|complaint| !complaint.contains("Failed to load resource"))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    browser.end().await;
}
