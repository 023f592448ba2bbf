//! Escaping and the few HTML shapes that sections share.

/// Text made safe for element content and quoted attributes. Control characters become visible
/// pictures, so that what a file contains can be seen but cannot act.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
            '\u{7f}' => out.push('\u{2421}'),
            // C1 controls, and the marks that turn the reading direction of everything behind them.
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}')
            }
            _ => out.push(c),
        }
    }
    out
}

/// At most `limit` characters of `text`, escaped.
pub(super) fn excerpt(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", escape(text[..end].trim_end())),
        None => escape(text),
    }
}

/// A key as an anchor: letters, digits and dashes.
pub(super) fn slug(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    key.chars().take(40).map(letter).collect()
}

/// A table cell; its text is already escaped.
pub(super) enum Cell {
    /// Names the row.
    Head(String),
    /// Words.
    Text(String),
    /// Right-aligned digits.
    Number(String),
}

/// A table that scrolls sideways on a narrow screen. `numeric_from` is the first right-aligned column.
pub(super) fn table(headers: &[&str], numeric_from: usize, rows: &[Vec<Cell>]) -> String {
    let mut out = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
    for (column, header) in headers.iter().enumerate() {
        let class = if column >= numeric_from { " class=\"number\"" } else { "" };
        out.push_str(&format!("<th scope=\"col\"{class}>{}</th>", escape(header)));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            out.push_str(&match cell {
                Cell::Head(text) => format!("<th scope=\"row\">{text}</th>"),
                Cell::Text(text) => format!("<td>{text}</td>"),
                Cell::Number(text) => format!("<td class=\"number\">{text}</td>"),
            });
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

/// Names and values; pairs with an empty value are left out, and so is an empty list.
pub(super) fn facts(class: &str, pairs: &[(&str, String)]) -> String {
    let items: String = pairs
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{value}</dd></div>\n", escape(name)))
        .collect();
    if items.is_empty() {
        return items;
    }
    format!("<dl class=\"{class}\">\n{items}</dl>\n")
}

/// Something that opens on demand.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!("<details><summary>{}</summary>\n{body}</details>\n", escape(summary))
}

/// A captioned figure: drawing, optional legend, and its numbers in a table that opens.
pub(super) fn figure(caption: &str, legend: &str, drawing: &str, numbers: &str) -> String {
    let numbers = if numbers.is_empty() { String::new() } else { details("Numbers", numbers) };
    format!("<figure>\n<figcaption>{}{legend}</figcaption>\n{drawing}{numbers}</figure>\n", escape(caption))
}

/// Swatches: the class that draws a line, and its name.
pub(super) fn legend(entries: &[(&str, &str)]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let items: String = entries
        .iter()
        .map(|(class, name)| format!("<span><i class=\"swatch {class}\"></i>{}</span>", escape(name)))
        .collect();
    format!("<span class=\"legend\">{items}</span>")
}

/// A paragraph of small print; nothing for nothing.
pub(super) fn note(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<p class=\"note\">{}</p>\n", escape(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_leaves_nothing_that_acts() {
        let found = escape("<script>alert(\"x\" & 'y')</script>");
        assert_eq!(found, "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;");
        assert_eq!(escape("a\0b\x1b[31m\u{7f}\u{85}\u{202e}c"), "a␀b␛[31m␡\u{fffd}\u{fffd}c");
        assert_eq!(escape("two\nlines\tand Ünïcode 漢字"), "two\nlines\tand Ünïcode 漢字");
    }

    #[test]
    fn excerpts_cut_between_characters() {
        assert_eq!(excerpt("äöü", 3), "äöü");
        assert_eq!(excerpt("äöü", 2), "äö…");
        assert_eq!(excerpt("<<<", 1), "&lt;…");
    }
}
