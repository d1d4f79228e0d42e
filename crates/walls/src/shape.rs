//! The house numbers: how long a file and a function may be, and that a file says what it is.

use crate::house::File;
use crate::source::{self, Source};

/// The longest a file may be.
pub const FILE_LINES_MAX: usize = 800;
/// The longest a function may be, from its `fn` to its closing brace.
pub const FUNCTION_LINES_MAX: usize = 70;

/// A function that is longer than it may be, and why. A row goes when the function got shorter,
/// and never grows.
#[derive(Clone, Copy, Debug)]
pub struct LongFunction {
    /// The file.
    pub path: &'static str,
    /// The function.
    pub name: &'static str,
    /// How long it is.
    pub lines: usize,
    /// Why it is one piece.
    pub why: &'static str,
}

/// The ratchet: none.
pub const LONG_FUNCTIONS: &[LongFunction] = &[];

/// What is wrong with the shape of `file`; only Rust files have one.
#[must_use]
pub fn check(file: &File, ratchet: &[LongFunction]) -> Vec<String> {
    let mut wrong = Vec::new();
    let path = &file.path;
    if !path.ends_with(".rs") {
        return wrong;
    }
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A text that is not to compile is quoted line by line in what the compiler says about it.
    let fixture = path.contains("/compile_fail/");
    if !first.starts_with("//!") && !fixture {
        wrong.push(format!("{path}:1: begin with a `//!` line that says what the file is for"));
    }
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!(
            "{path}: {lines} lines, {FILE_LINES_MAX} are allowed: split it by what its parts are \
             for"
        ));
    }
    let mut rows: Vec<&LongFunction> = ratchet.iter().filter(|row| row.path == path).collect();
    for function in functions(&Source::new(path, &file.text).code) {
        let Function { line, ref name, lines } = function;
        let row = rows.iter().position(|row| row.name == name).map(|i| rows.swap_remove(i));
        let allowed = row.map_or(FUNCTION_LINES_MAX, |row| row.lines);
        if lines > allowed {
            wrong.push(format!(
                "{path}:{line}: `{name}` has {lines} lines, {allowed} are allowed: give its steps \
                 names of their own"
            ));
        } else if row.is_some() && lines < allowed {
            wrong.push(format!(
                "{path}:{line}: `{name}` got shorter ({lines} lines): lower or remove its row in \
                 LONG_FUNCTIONS"
            ));
        }
    }
    for row in rows {
        wrong.push(format!("{path}: `{}` is gone: remove its row in LONG_FUNCTIONS", row.name));
    }
    wrong
}

struct Function {
    line: usize,
    name: String,
    lines: usize,
}

fn functions(code: &[String]) -> Vec<Function> {
    let starts = code.iter().enumerate().filter_map(|(at, line)| Some((at, function_name(line)?)));
    starts
        .map(|(at, name)| Function {
            line: at + 1,
            name: name.to_owned(),
            lines: source::end_of_item(code, at) - at + 1,
        })
        .collect()
}

/// The name of the function that begins in `line`.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let qualifier = matches!(word, "const" | "async" | "unsafe" | "extern" | "default")
            || word.starts_with("pub")
            || word.starts_with('"');
        if word == "fn" {
            let name = words.next()?;
            let len = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            return Some(&name[..len]).filter(|name| !name.is_empty());
        } else if !qualifier && !word.ends_with(')') {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: String) -> File {
        File { path: "crates/model/src/x.rs".to_owned(), text }
    }

    fn function(head: &str, lines: usize) -> String {
        format!("{head} {{\n{}    }}\n", "        step();\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_may_have_seventy_lines_and_no_more() {
        for head in [
            "    fn long()",
            "    pub fn long(&self) -> Result<(), E>",
            "    pub(crate) async unsafe fn long<T>()",
            "    pub(in crate::a) const fn long()",
            "    extern \"C\" fn long()",
        ] {
            let text = format!("//! x\nimpl X {{\n{}}}\n", function(head, 70));
            assert_eq!(check(&file(text), &[]), Vec::<String>::new(), "{head}");
            let text = format!("//! x\nimpl X {{\n{}}}\n", function(head, 71));
            let wrong = check(&file(text), &[]);
            assert_eq!(wrong.len(), 1, "{head}");
            assert!(wrong[0].contains("x.rs:3: `long` has 71 lines, 70 are allowed"), "{wrong:?}");
        }
    }

    #[test]
    fn the_length_counts_from_a_head_that_takes_several_lines() {
        let head = "    fn long(\n        a: [u8; 3],\n        b: u8,\n    ) -> u8\n    where\n        \
                    u8: Copy,\n   ";
        let text = format!("//! x\nimpl X {{\n{}}}\n", function(head, 65));
        assert!(check(&file(text), &[])[0].contains("71 lines"));
    }

    #[test]
    fn short_forms_end_where_they_end() {
        let rest = "step();\n".repeat(100);
        for short in
            ["fn a() {}", "fn a(&self) -> u8;", "fn a(\n    b: u8,\n);", "fn a() -> u8 { 1 }"]
        {
            let text = format!("//! x\n{short}\n{rest}");
            assert_eq!(check(&file(text), &[]), Vec::<String>::new(), "{short}");
        }
    }

    #[test]
    fn a_row_of_the_ratchet_holds_the_length_and_goes_with_its_reason() {
        let row = |lines| LongFunction {
            path: "crates/model/src/x.rs",
            name: "long",
            lines,
            why: "one table",
        };
        let text = format!("//! x\nimpl X {{\n{}}}\n", function("    fn long()", 80));
        assert_eq!(check(&file(text.clone()), &[row(80)]), Vec::<String>::new());
        assert!(check(&file(text.clone()), &[row(79)])[0].contains("79 are allowed"));
        assert!(check(&file(text), &[row(81)])[0].contains("got shorter"));
        assert!(check(&file("//! x\n".to_owned()), &[row(80)])[0].contains("is gone"));
    }

    #[test]
    fn a_file_has_a_heading_and_at_most_eight_hundred_lines() {
        assert_eq!(check(&file(format!("//! x\n{}", "\n".repeat(799))), &[]), Vec::<String>::new());
        let long = check(&file(format!("//! x\n{}", "\n".repeat(800))), &[]);
        assert!(long[0].contains("801 lines, 800 are allowed"), "{long:?}");
        assert!(check(&file("use std::fs;\n".to_owned()), &[])[0].contains("`//!`"));
    }
}
