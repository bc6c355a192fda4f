//! A client of one connection: commands as arrays of strings, replies as text.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

pub struct Client(BufReader<TcpStream>);

impl Client {
    pub fn connect(port: u16) -> Client {
        Client(BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("the server listens")))
    }

    /// The reply, or the line of an error. Arrays are not read.
    pub fn call(&mut self, words: &[&str]) -> Result<String, String> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.0.get_mut().write_all(&command).expect("the server reads");
        self.reply()
    }

    fn reply(&mut self) -> Result<String, String> {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("the server replies");
        let (kind, rest) = line.trim_end().split_at(1);
        match kind {
            "-" => Err(rest.to_owned()),
            "$" => {
                let mut text = vec![0; rest.parse::<usize>().expect("a length") + 2];
                self.0.read_exact(&mut text).expect("the whole reply");
                text.truncate(text.len() - 2);
                Ok(String::from_utf8(text).expect("UTF-8"))
            }
            "*" => {
                let count: usize = rest.parse().expect("a length");
                let all: Result<Vec<_>, _> = (0..count).map(|_| self.reply()).collect();
                all.map(|replies| replies.join(" "))
            }
            _ => Ok(rest.to_owned()),
        }
    }
}
