//! Stands between clients and a broker and prints what they say: `mitm 127.0.0.1:19092 BROKER:9092`.
//!
//! Addresses of brokers in responses are changed to its own, so that clients of a cluster of one broker stay with it.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "an example that is a program of its own"
)]

use kafka_proto::frame::{decode_request_header, decode_response};
use kafka_proto::proxy::rewrite_addresses;
use kafka_proto::{ApiKey, Bytes, RequestKind};
use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a client has asked and not been answered yet: responses come in the same order.
type Pending = Arc<Mutex<VecDeque<(ApiKey, i16)>>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(broker)) = (args.next(), args.next()) else {
        return Err("usage: mitm LISTEN_ADDRESS BROKER_ADDRESS".into());
    };
    let listener = TcpListener::bind(listen)?;
    let own = listener.local_addr()?;
    println!("listening on {own}");
    for client in listener.incoming() {
        let (client, server) = (client?, TcpStream::connect(&broker)?);
        let pending = Pending::default();
        let (requests, responses) = ((client.try_clone()?, server.try_clone()?), (server, client));
        let asked = pending.clone();
        thread::spawn(move || end(pass_requests(requests.0, requests.1, &asked)));
        thread::spawn(move || end(pass_responses(responses.0, responses.1, &pending, own)));
    }
    Ok(())
}

fn end(result: Result<(), Box<dyn Error>>) {
    if let Err(error) = result {
        println!("-- {error}");
    }
}

fn pass_requests(
    mut client: TcpStream,
    mut server: TcpStream,
    pending: &Pending,
) -> Result<(), Box<dyn Error>> {
    while let Some(frame) = read_frame(&mut client)? {
        let (header, mut body) = decode_request_header(&frame)?;
        let key = ApiKey::from_code(header.request_api_key).ok_or("an unknown API")?;
        let version = header.request_api_version;
        let request = RequestKind::decode(key, &mut body, version);
        match &request {
            Ok(request) => println!("-> {} v{version} {request:?}", header.correlation_id),
            Err(error) => println!("-> {} {key} v{version}: {error}", header.correlation_id),
        }
        // A producer that wants no acknowledgement gets none.
        if !matches!(&request, Ok(RequestKind::Produce(produce)) if produce.acks == 0) {
            pending.lock().map_err(|_| "the other thread has died")?.push_back((key, version));
        }
        write_frame(&mut server, &[frame])?;
    }
    Ok(server.shutdown(std::net::Shutdown::Both)?)
}

fn pass_responses(
    mut server: TcpStream,
    mut client: TcpStream,
    pending: &Pending,
    own: SocketAddr,
) -> Result<(), Box<dyn Error>> {
    while let Some(frame) = read_frame(&mut server)? {
        let asked = pending.lock().map_err(|_| "the other thread has died")?.pop_front();
        let (key, version) = asked.ok_or("a response that nobody asked for")?;
        let frame = match decode_response(key, version, &frame) {
            Ok((id, response)) => {
                println!("<- {id} v{version} {response:?}");
                rewrite_addresses(key, version, &frame, |address| {
                    address.host = own.ip().to_string().into();
                    address.port = own.port().into();
                })?
            }
            Err(error) => {
                println!("<- {key} v{version}: {error}");
                vec![frame]
            }
        };
        write_frame(&mut client, &frame)?;
    }
    Ok(client.shutdown(std::net::Shutdown::Both)?)
}

/// A frame without its length; `None` at the end of the connection.
fn read_frame(stream: &mut TcpStream) -> io::Result<Option<Bytes>> {
    let mut len = [0; 4];
    match stream.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let len = u32::from_be_bytes(len).into();
    let mut frame = Vec::new();
    if stream.take(len).read_to_end(&mut frame)? as u64 != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(frame.into()))
}

fn write_frame(stream: &mut TcpStream, segments: &[Bytes]) -> io::Result<()> {
    let len: usize = segments.iter().map(Bytes::len).sum();
    let mut all = (len as u32).to_be_bytes().to_vec();
    segments.iter().for_each(|segment| all.extend_from_slice(segment));
    stream.write_all(&all)
}
