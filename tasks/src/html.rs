//! What all pages that tasks write have in common: one file, readable without scripts, in light and dark, on a phone.

/// Text that cannot become markup, whatever a table holds.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters say nothing on a page; the replacement shows that there was one.
            control if control.is_control() && control != '\n' && control != '\t' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// The first letters of a text, with an ellipsis where some are left out.
pub fn shorten(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A whole page. `title` is text, `body` is markup whose texts are escaped.
pub fn document(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )
}

// Tables become blocks on narrow screens, so that nothing has to be scrolled sideways.
const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d0d7de;--good:#116329;--bad:#a40e26;--note:#7d4e00;--bar:#0969da}\
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b3;--paper:#0d1117;--line:#3d444d;--good:#56d364;--bad:#ff8182;--note:#e3b341;--bar:#58a6ff}}\
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}\
main{max-width:64rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2rem}\
section{border-top:1px solid var(--line)}table{border-collapse:collapse;width:100%}table+table{margin-top:1rem}th,td{padding:.3rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad)}.note{color:var(--note)}.soft{color:var(--soft)}\
code{font-size:.9em}figure{margin:1rem 0}svg{max-width:100%;height:auto}svg.plot{width:100%;max-width:36rem}\
rect,circle{fill:var(--bar)}.loses{fill:var(--bad)}text{fill:var(--ink);font:11px system-ui,sans-serif}\
line{stroke:var(--soft)}.reach{stroke:var(--bar);stroke-width:3}.dashed{stroke:var(--good);stroke-dasharray:4 3}.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(16rem,1fr));gap:1rem}\
@media(max-width:40rem){table,tbody,tr,td,th{display:block}thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}\
tr{border-bottom:1px solid var(--line);padding:.4rem 0}td,th,td.n,th.n{border:0;padding:.1rem 0;text-align:left}.pairs tr{display:flex;justify-content:space-between;gap:1rem}td[data-name]::before{content:attr(data-name) \": \";color:var(--soft)}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_a_table_cannot_become_markup() {
        let page = document(
            "<script>alert(1)</script>",
            &format!("<p>{}</p>", escape("a\"b'<i>&\u{0}")),
        );
        assert!(!page.contains("<script") && !page.contains("<i>"));
        assert!(page.contains("a&quot;b&#39;&lt;i&gt;&amp;\u{fffd}"));
    }

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(shorten("Grüße", 3), "Grü…");
        assert_eq!(shorten("Grüße", 5), "Grüße");
    }
}
