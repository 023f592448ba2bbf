//! Pictures as data inside the page.

use base64::prelude::{BASE64_STANDARD, Engine};

use crate::metric::detail::Picture;
use crate::report::html::{escape, excerpt};

/// How every PNG file begins.
const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const MAX_CAPTION: usize = 200;

/// Pictures side by side.
pub(in crate::report) fn draw(pictures: &[Picture]) -> String {
    let figure = |picture: &Picture| {
        let image = image(&picture.png, &picture.caption);
        let caption = format!("<figcaption>{}</figcaption>", excerpt(&picture.caption, MAX_CAPTION));
        if image.is_empty() { image } else { format!("<figure>{image}{caption}</figure>\n") }
    };
    let figures: String = pictures.iter().map(figure).collect();
    if figures.is_empty() { figures } else { format!("<div class=\"pictures\">\n{figures}</div>\n") }
}

/// One picture; nothing for what is not a PNG file.
pub(in crate::report) fn image(png: &[u8], spoken: &str) -> String {
    if !png.starts_with(SIGNATURE) {
        return String::new();
    }
    format!("<img src=\"data:image/png;base64,{}\" alt=\"{}\">", BASE64_STANDARD.encode(png), escape(spoken))
}
