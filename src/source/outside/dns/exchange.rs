//! One question to one server and its answer, over UDP, and over TCP where it does not fit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

use crate::context::Context;
use crate::source::outside::dns::trouble::Trouble;

/// One for each try: a lost packet is asked for again.
const TRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(3)];
/// For the whole exchange over TCP.
const TCP_TIMEOUT: Duration = Duration::from_secs(6);
/// What fits through every network unbroken (DNS flag day 2020).
const UDP_BYTES: u16 = 1232;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub name: Name,
    pub kind: RecordType,
    /// A resolver is to look it up; an authority is not.
    pub recursion: bool,
}

/// What the server says to it, whatever it says: NXDOMAIN and REFUSED are answers.
pub async fn ask(server: SocketAddr, question: &Question, cx: &Context) -> Result<Message, Trouble> {
    let answer = over_udp(server, question, true, cx).await?;
    match answer.metadata.response_code {
        // Servers from before 1999 do not know the extension that allows longer answers.
        ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS => {
            over_udp(server, question, false, cx).await
        }
        _ => Ok(answer),
    }
}

async fn over_udp(server: SocketAddr, question: &Question, extended: bool, cx: &Context) -> Result<Message, Trouble> {
    for limit in TRIES {
        let message = message(question, extended, cx);
        match timeout(limit, udp(server, &message)).await {
            Ok(Ok(answer)) if answer.metadata.truncation => return tcp(server, &message).await,
            Ok(answer) => return answer,
            Err(_) => {}
        }
    }
    Err(Trouble::Silent(TRIES.iter().map(Duration::as_secs).sum()))
}

fn message(question: &Question, extended: bool, cx: &Context) -> Message {
    // 16 of 80 random bits.
    let id = (u128::from(cx.clock.ulid()) & 0xffff) as u16;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = question.recursion;
    message.add_query(Query::query(question.name.clone(), question.kind));
    if extended {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_BYTES);
        message.set_edns(edns);
    }
    message
}

fn io(error: std::io::Error) -> Trouble {
    Trouble::Unreachable(error.to_string())
}

async fn udp(server: SocketAddr, message: &Message) -> Result<Message, Trouble> {
    // A port of its own for each question, and only packets of that server: nobody else can guess an answer in.
    let own = match server.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((own, 0)).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    socket.send(&bytes(message)?).await.map_err(io)?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(io)?;
        let packet = buffer.get(..length).unwrap_or_default();
        match Message::from_vec(packet) {
            Ok(answer) if is_answer(&answer, message) => return Ok(answer),
            // A late answer to an earlier try, or somebody's guess.
            Ok(_) => {}
            Err(_) if packet.starts_with(&message.metadata.id.to_be_bytes()) => return Err(Trouble::Malformed),
            Err(_) => {}
        }
    }
}

async fn tcp(server: SocketAddr, message: &Message) -> Result<Message, Trouble> {
    let end = Instant::now() + TCP_TIMEOUT;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await.map_err(io)?;
        let bytes = bytes(message)?;
        let length = u16::try_from(bytes.len()).map_err(|_| Trouble::Malformed)?;
        stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat()).await.map_err(io)?;
        let length = stream.read_u16().await.map_err(io)?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.map_err(io)?;
        let answer = Message::from_vec(&answer).map_err(|_| Trouble::Malformed)?;
        if is_answer(&answer, message) && !answer.metadata.truncation { Ok(answer) } else { Err(Trouble::Malformed) }
    };
    match timeout_at(end, exchange).await {
        Ok(Err(Trouble::Unreachable(why))) => Err(Trouble::Unreachable(format!("{why} (TCP, for a long answer)"))),
        Ok(answer) => answer,
        Err(_) => Err(Trouble::Unreachable("no answer over TCP, which a long answer needs".into())),
    }
}

fn bytes(message: &Message) -> Result<Vec<u8>, Trouble> {
    message.to_vec().map_err(|_| Trouble::Malformed)
}

fn is_answer(answer: &Message, question: &Message) -> bool {
    let same = answer.metadata.id == question.metadata.id && answer.metadata.message_type == MessageType::Response;
    // A server that does not understand a question may leave it out.
    same && (answer.queries == question.queries
        || answer.queries.is_empty() && answer.metadata.response_code != ResponseCode::NoError)
}
