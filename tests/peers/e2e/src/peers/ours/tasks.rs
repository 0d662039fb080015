//! The client on an async runtime, whichever.

use super::{Api, BATCH, CLOSE, message, reader_settings, within, writer_settings};
use crate::args::Cfg;
use crate::meter::Meter;
use crate::peers::{Fut, STARVED, Sender, Tail};
use crate::work::{Workload, touch};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use kafka_core::ClientBuilder;
use kafka_core::runtime::Runtime;
use kafka_tokio::{Client, Delivery, Reader, Reset, Writer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

async fn connect<R: Runtime>(c: &Cfg) -> Result<Client> {
    Ok(ClientBuilder::<R>::new(&c.brokers).client_id("e2e").connect().await?)
}

async fn writer<R: Runtime>(c: &Cfg) -> Result<Writer> {
    Ok(writer_settings(c, connect::<R>(c).await?.writer(c.topic.as_str()))?.build()?)
}

async fn reader<R: Runtime>(c: &Cfg, reset: Reset) -> Result<Reader> {
    Ok(reader_settings(c, reset, connect::<R>(c).await?.reader(c.topic.as_str()))?.build()?)
}

async fn settle(delivery: Delivery, m: &Meter) {
    match delivery.await {
        Ok(_) => m.acked(1),
        Err(e) => m.error(e),
    }
}

pub(super) async fn produce<R: Runtime>(c: &Cfg, api: Api, w: &Workload, m: &Arc<Meter>) -> Result<()> {
    let writer = writer::<R>(c).await?;
    let mut sent = 0;
    for (n, main) in [(c.warmup, false), (c.records, true)] {
        if main {
            m.start();
            sent = writer.stats().batches_sent;
        }
        match api {
            Api::Record => records(c, &writer, w, n, m).await,
            Api::Batch => batches(c, &writer, w, n, m).await,
            Api::Wait => waits(c, &writer, w, n, m).await,
        }
    }
    m.stop();
    m.batches.store(writer.stats().batches_sent - sent, Relaxed);
    writer.close(CLOSE).await;
    Ok(())
}

async fn records(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(c.window);
    for i in 0..n {
        match writer.send(message(w.key(i), w.value_owned(i))).await {
            Ok(delivery) => open.push_back(delivery),
            Err(e) => m.error(e),
        }
        if open.len() >= c.window
            && let Some(delivery) = open.pop_front()
        {
            settle(delivery, m).await;
        }
    }
    writer.flush().await;
    for delivery in open {
        settle(delivery, m).await;
    }
}

async fn batches(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut open: VecDeque<Delivery> = VecDeque::with_capacity(c.window + BATCH);
    let mut next = 0;
    while next < n {
        let end = n.min(next + BATCH as u64);
        for sent in writer.send_all((next..end).map(|i| message(w.key(i), w.value_owned(i)))).await {
            match sent {
                Ok(delivery) => open.push_back(delivery),
                Err(e) => m.error(e),
            }
        }
        next = end;
        while open.len() >= c.window
            && let Some(delivery) = open.pop_front()
        {
            settle(delivery, m).await;
        }
    }
    writer.flush().await;
    for delivery in open {
        settle(delivery, m).await;
    }
}

async fn waits(c: &Cfg, writer: &Writer, w: &Workload, n: u64, m: &Meter) {
    let mut next = 0;
    while next < n {
        let end = n.min(next + (c.window as u64 / 4).max(1));
        match writer.write_all((next..end).map(|i| message(w.key(i), w.value_owned(i)))).await {
            Ok(delivered) => m.acked(delivered.len() as u64),
            Err(errors) => errors.results.into_iter().for_each(|result| match result {
                Ok(_) => m.acked(1),
                Err(e) => m.error(e),
            }),
        }
        next = end;
    }
}

pub(super) async fn consume<R: Runtime>(c: &Cfg, api: Api, m: &Arc<Meter>) -> Result<()> {
    m.start();
    let mut reader = reader::<R>(c, Reset::First).await?;
    match api {
        Api::Batch => read_batches(c, &mut reader, m).await?,
        _ => reads(c, api, &mut reader, m).await?,
    }
    m.stop();
    reader.close(CLOSE).await.into_result()?;
    Ok(())
}

async fn reads(c: &Cfg, api: Api, reader: &mut Reader, m: &Meter) -> Result<()> {
    let (mut n, mut sum) = (0u64, 0u64);
    while n < c.records {
        let message = match api {
            Api::Wait => reader.read().await?,
            _ => reader.fetch().await?,
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

async fn read_batches(c: &Cfg, reader: &mut Reader, m: &Meter) -> Result<()> {
    let mut n = 0u64;
    while n < c.records {
        let Some(batch) = within(STARVED, reader.next_batch()).await else {
            bail!("no record for 30 s after {n}");
        };
        let mut batch = batch?.context("the reader is closed")?;
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

pub(super) async fn sender<'a, R: Runtime>(c: &'a Cfg) -> Result<Box<dyn Sender + 'a>> {
    Ok(Box::new(One(writer::<R>(c).await?)))
}

pub(super) async fn tail<'a, R: Runtime>(c: &'a Cfg) -> Result<Box<dyn Tail + 'a>> {
    Ok(Box::new(End(reader::<R>(c, Reset::Last).await?)))
}

struct One(Writer);

impl Sender for One {
    fn send<'a>(&'a mut self, key: Option<&'a Bytes>, value: &'a Bytes) -> Fut<'a, ()> {
        Box::pin(async move {
            self.0.send(message(key, value.clone())).await?.await?;
            Ok(())
        })
    }

    fn close<'a>(self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move {
            self.0.close(CLOSE).await;
            Ok(())
        })
    }
}

struct End(Reader);

impl Tail for End {
    fn poll<'a>(&'a mut self, wait: Duration, on: &'a mut (dyn FnMut(&[u8]) + 'a)) -> Fut<'a, ()> {
        Box::pin(async move {
            if let Some(message) = within(wait, self.0.fetch()).await {
                let message = message?.context("the reader is closed")?;
                on(message.value.as_deref().unwrap_or_default());
            }
            Ok(())
        })
    }

    fn close<'a>(mut self: Box<Self>) -> Fut<'a, ()>
    where
        Self: 'a,
    {
        Box::pin(async move { Ok(self.0.close(CLOSE).await.into_result()?) })
    }
}
