//! Server-sent events, taken out of a body as it comes.

use std::collections::VecDeque;

use reqwest::Response;

/// One message: the position it moves to, and what it says, if it says something.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Option<u64>,
    pub(super) data: Option<String>,
}

/// The messages of an answer.
pub(super) struct Lines {
    response: Response,
    parser: Parser,
}

impl Lines {
    pub(super) fn of(response: Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next message; `None` when the answer is over.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, reqwest::Error> {
        loop {
            if let Some(message) = self.parser.whole.pop_front() {
                return Ok(Some(message));
            }
            match self.response.chunk().await? {
                Some(bytes) => self.parser.take(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Puts pieces of a body, cut anywhere, together to messages.
#[derive(Debug, Default)]
struct Parser {
    /// The line that has begun.
    line: Vec<u8>,
    message: Message,
    whole: VecDeque<Message>,
}

impl Parser {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&rest[..end]);
            let line = std::mem::take(&mut self.line);
            self.line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            rest = &rest[end + 1..];
        }
        self.line.extend_from_slice(rest);
    }

    fn line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            // An empty line ends a message; one with neither is only a sign of life, which counts too.
            "" if line.is_empty() => self.whole.push_back(std::mem::take(&mut self.message)),
            "id" => self.message.id = value.parse().ok(),
            "data" => match &mut self.message.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            // Comments; the name of the event is in the data too.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "id: 7\nevent: RunSucceeded\ndata: {\"a\":\ndata: \"é\"}\n\n: nothing else\nid: 9\n\nid: 10\r\ndata:x\r\n\r\ndata: cut";

    #[test]
    fn messages_are_put_together_wherever_the_body_is_cut() {
        let message = |id, data: Option<&str>| Message { id, data: data.map(str::to_owned) };
        let expected =
            [message(Some(7), Some("{\"a\":\n\"é\"}")), message(Some(9), None), message(Some(10), Some("x"))];
        for size in [1, 2, 7, BODY.len()] {
            let mut parser = Parser::default();
            BODY.as_bytes().chunks(size).for_each(|piece| parser.take(piece));
            assert_eq!(Vec::from(parser.whole), expected, "in pieces of {size}");
        }
    }
}
