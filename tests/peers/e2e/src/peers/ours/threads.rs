//! The client without a runtime. Produce and consume run in the thread they are called in; a tail has a thread of its own,
//! as a program without a runtime has, and hands its records over.

use super::{Api, BATCH, CLOSE, message, reader_settings, within, writer_settings};
use crate::args::Cfg;
use crate::meter::Meter;
use crate::peers::{Fut, Sender, Tail};
use crate::work::{Workload, touch};
use anyhow::{Context, Result};
use bytes::Bytes;
use kafka_blocking::{Client, Delivery, Reader, Reset, Writer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn connect(c: &Cfg) -> Result<Client> {
    Ok(kafka_blocking::builder(&c.brokers).client_id("e2e").connect()?)
}

fn writer(c: &Cfg) -> Result<Writer> {
    Ok(writer_settings(c, connect(c)?.writer(c.topic.as_str()))?.build()?)
}

fn reader(c: &Cfg, reset: Reset) -> Result<Reader> {
    Ok(reader_settings(c, reset, connect(c)?.reader(c.topic.as_str()))?.build()?)
}

fn settle(delivery: Delivery, m: &Meter) {
    match delivery.wait() {
        Ok(_) => m.acked(1),
        Err(e) => m.error(e),
    }
}

pub(super) fn produce(c: &Cfg, api: Api, w: &Workload, m: &Arc<Meter>) -> Result<()> {
    let writer = writer(c)?;
    let mut sent = 0;
    for (n, main) in [(c.warmup, false), (c.records, true)] {
        if main {
            m.start();
            sent = writer.stats().batches_sent;
        }
        match api {
            Api::Record => records(c, &writer, w, n, m),
            Api::Batch => batches(c, &writer, w, n, m),
            Api::Wait => waits(c, &writer, w, n, m),
        }
    }
    m.stop();
    m.batches.store(writer.stats().batches_sent - sent, Relaxed);
    writer.close(CLOSE);
    Ok(())
}

fn records(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(c.window);
    for i in 0..n {
        match writer.send(message(w.key(i), w.value_owned(i))) {
            Ok(delivery) => open.push_back(delivery),
            Err(e) => m.error(e),
        }
        if open.len() >= c.window
            && let Some(delivery) = open.pop_front()
        {
            settle(delivery, m);
        }
    }
    writer.flush();
    open.into_iter().for_each(|delivery| settle(delivery, m));
}

fn batches(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(c.window + BATCH);
    let mut next = 0;
    while next < n {
        let end = n.min(next + BATCH as u64);
        for sent in writer.send_all((next..end).map(|i| message(w.key(i), w.value_owned(i)))) {
            match sent {
                Ok(delivery) => open.push_back(delivery),
                Err(e) => m.error(e),
            }
        }
        next = end;
        while open.len() >= c.window
            && let Some(delivery) = open.pop_front()
        {
            settle(delivery, m);
        }
    }
    writer.flush();
    open.into_iter().for_each(|delivery| settle(delivery, m));
}

fn waits(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut next = 0;
    while next < n {
        let end = n.min(next + (c.window as u64 / 4).max(1));
        match writer.write_all((next..end).map(|i| message(w.key(i), w.value_owned(i)))) {
            Ok(delivered) => m.acked(delivered.len() as u64),
            Err(errors) => errors.results.into_iter().for_each(|result| match result {
                Ok(_) => m.acked(1),
                Err(e) => m.error(e),
            }),
        }
        next = end;
    }
}

pub(super) fn consume(c: &Cfg, api: Api, m: &Arc<Meter>) -> Result<()> {
    m.start();
    let mut reader = reader(c, Reset::First)?;
    match api {
        Api::Batch => read_batches(c, &mut reader, m)?,
        _ => reads(c, api, &mut reader, m)?,
    }
    m.stop();
    reader.close(CLOSE).into_result()?;
    Ok(())
}

fn reads(c: &Cfg, api: Api, reader: &mut Reader, m: &Meter) -> Result<()> {
    let (mut n, mut sum) = (0u64, 0u64);
    while n < c.records {
        let message = match api {
            Api::Wait => reader.read()?,
            _ => reader.fetch()?,
        };
        let message = message.context("the reader is closed")?;
        if n == 0 {
            m.first();
        }
        sum = sum.wrapping_add(touch(message.key.as_deref(), message.value.as_deref()));
        n += 1;
    }
    m.read(n, sum);
    Ok(())
}

fn read_batches(c: &Cfg, reader: &mut Reader, m: &Meter) -> Result<()> {
    let mut n = 0u64;
    while n < c.records {
        let mut batch = reader.next_batch()?.context("the reader is closed")?;
        if n == 0 {
            m.first();
        }
        let (mut here, mut sum) = (0u64, 0u64);
        while let Some(record) = batch.next() {
            let record = record?;
            sum = sum.wrapping_add(touch(record.key(), record.value()));
            here += 1;
        }
        n += here;
        m.read(here, sum);
    }
    Ok(())
}

pub(super) fn sender<'a>(c: &'a Cfg) -> Result<Box<dyn Sender + 'a>> {
    Ok(Box::new(One(writer(c)?)))
}

pub(super) fn tail<'a>(c: &'a Cfg) -> Result<Box<dyn Tail + 'a>> {
    let mut reader = reader(c, Reset::Last)?;
    let (send, values) = unbounded_channel();
    let thread = std::thread::spawn(move || {
        // The other end is dropped when the run is over.
        while let Ok(Some(message)) = reader.fetch() {
            if send.send(message.value.unwrap_or_default()).is_err() {
                break;
            }
        }
    });
    Ok(Box::new(End { values, _thread: thread }))
}

struct One(Writer);

impl Sender for One {
    fn send<'a>(&'a mut self, key: Option<&'a Bytes>, value: &'a Bytes) -> Fut<'a, ()> {
        Box::pin(async move {
            self.0.send(message(key, value.clone()))?.wait()?;
            Ok(())
        })
    }

    fn close<'a>(self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.0.close(CLOSE);
            Ok(())
        })
    }
}

struct End {
    values: UnboundedReceiver<Bytes>,
    _thread: std::thread::JoinHandle<()>,
}

impl Tail for End {
    fn poll<'a>(&'a mut self, wait: Duration, on: &'a mut (dyn FnMut(&[u8]) + 'a)) -> Fut<'a, ()> {
        Box::pin(async move {
            if let Some(value) = within(wait, self.values.recv()).await {
                on(&value.context("the reader ended")?);
            }
            Ok(())
        })
    }

    /// The thread ends with the process: nothing can interrupt its read.
    fn close<'a>(self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async { Ok(()) })
    }
}
