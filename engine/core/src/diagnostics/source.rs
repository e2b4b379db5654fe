//! A file as the renderer reads it: the lines around a place, found at once however long the file is.

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

/// At most so many bytes are shown on either side of a place: a file may be one line.
const MOST_BESIDE: usize = 400;

/// The text of a file and where its lines begin.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    text: String,
    line_starts: Vec<usize>,
}

impl Source {
    pub(super) fn new(name: String, text: String) -> Self {
        let behind = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(behind).collect();
        Self {
            name,
            text,
            line_starts,
        }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1) - 1
    }

    /// Where a line begins; behind the last one the end of the text.
    fn start_of(&self, line: usize) -> usize {
        self.line_starts.get(line).copied().unwrap_or(self.text.len())
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (first, last) = (span.offset(), span.offset() + span.len());
        if last > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let line = self.line_of(first);
        let (mut start, mut end) = (first, last);
        if lines_before > 0 {
            start = self
                .start_of(line.saturating_sub(lines_before))
                .max(first.saturating_sub(MOST_BESIDE));
            end = self
                .start_of(self.line_of(last) + lines_after + 1)
                .min(last + MOST_BESIDE);
            while !self.text.is_char_boundary(start) {
                start += 1;
            }
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
        }
        let line = self.line_of(start);
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            &self.text.as_bytes()[start..end],
            (start, end - start).into(),
            line,
            start - self.start_of(line),
            self.line_starts.len(),
        );
        Ok(Box::new(contents.with_language("yaml")))
    }
}
