//! A reader of the text format of protocol buffers, as far as the conformance cases use it.

/// A value of a field.
#[derive(Clone, Debug)]
pub enum Field {
    /// A quoted string, as bytes.
    Text(Vec<u8>),
    /// A number or a name, as it is written.
    Word(String),
    Message(Message),
}

/// The fields of a message in order; a repeated one stands several times.
#[derive(Clone, Debug, Default)]
pub struct Message(pub Vec<(String, Field)>);

impl Message {
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, field)| field)
    }

    pub fn messages<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Message> {
        self.0.iter().filter_map(move |(own, field)| match field {
            Field::Message(message) if own == name => Some(message),
            _ => None,
        })
    }

    pub fn message(&self, name: &str) -> Option<&Message> {
        match self.get(name) {
            Some(Field::Message(message)) => Some(message),
            _ => None,
        }
    }

    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name)? {
            Field::Text(bytes) => Some(String::from_utf8(bytes.clone()).unwrap()),
            _ => None,
        }
    }

    pub fn word(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Field::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// Reads a whole file.
pub fn read(text: &str) -> Message {
    let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
    let message = reader.fields(None);
    assert_eq!(reader.at, text.len());
    message
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next byte behind blanks and comments; 0 at the end.
    fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b'#') => {
                    let rest = &self.bytes[self.at..];
                    self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
                }
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Fields up to a closing bracket, or to the end.
    fn fields(&mut self, close: Option<u8>) -> Message {
        let mut fields = Vec::new();
        loop {
            match (self.peek(), close) {
                (0, None) => return Message(fields),
                (byte, Some(close)) if byte == close => {
                    self.at += 1;
                    return Message(fields);
                }
                _ => {}
            }
            let name = self.name();
            self.eat(b':');
            if self.eat(b'[') {
                while !self.eat(b']') {
                    fields.push((name.clone(), self.value()));
                    self.eat(b',');
                }
            } else {
                fields.push((name, self.value()));
            }
            let _ = self.eat(b',') || self.eat(b';');
        }
    }

    /// A name, or the name of a type in brackets.
    fn name(&mut self) -> String {
        if self.eat(b'[') {
            let rest = &self.bytes[self.at..];
            let end = rest.iter().position(|byte| *byte == b']').expect("the bracket is closed");
            self.at += end + 1;
            return String::from_utf8(rest[..end].to_vec()).unwrap();
        }
        self.word()
    }

    fn word(&mut self) -> String {
        self.peek();
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(byte);
        let end = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let shown = String::from_utf8_lossy(&rest[..rest.len().min(40)]);
        assert!(end > 0, "no word at {shown:?}");
        self.at += end;
        String::from_utf8(rest[..end].to_vec()).unwrap()
    }

    fn value(&mut self) -> Field {
        match self.peek() {
            b'{' => {
                self.at += 1;
                Field::Message(self.fields(Some(b'}')))
            }
            b'<' => {
                self.at += 1;
                Field::Message(self.fields(Some(b'>')))
            }
            b'"' | b'\'' => {
                let mut text = Vec::new();
                while matches!(self.peek(), b'"' | b'\'') {
                    self.string(&mut text);
                }
                Field::Text(text)
            }
            _ => Field::Word(self.word()),
        }
    }

    fn next(&mut self) -> u8 {
        self.at += 1;
        self.bytes[self.at - 1]
    }

    fn string(&mut self, out: &mut Vec<u8>) {
        let quote = self.next();
        loop {
            match self.next() {
                byte if byte == quote => return,
                b'\\' => self.escape(out),
                byte => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) {
        let mut push_char = |code: u32| {
            let c = char::from_u32(code).expect("the escape is a character");
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        };
        match self.next() {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'x' | b'X' => out.push(self.digits(2, 16) as u8),
            b'u' => push_char(self.digits(4, 16)),
            b'U' => push_char(self.digits(8, 16)),
            b'0'..=b'7' => {
                self.at -= 1;
                out.push(self.digits(3, 8) as u8);
            }
            other => out.push(other),
        }
    }

    /// Up to so many digits.
    fn digits(&mut self, most: usize, radix: u32) -> u32 {
        let mut value = 0;
        for _ in 0..most {
            let Some(digit) = char::from(self.bytes[self.at]).to_digit(radix) else { break };
            value = value * radix + digit;
            self.at += 1;
        }
        value
    }
}
