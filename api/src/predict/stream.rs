//! Streams of rows: answered as they come, in constant memory, whatever their length.
//!
//! Nothing waits for the end of the body: what a chunk of it completes is answered before the next is asked for, and no chunk is
//! asked for before the answers to the one before were taken. So a client has to read while it sends. One version answers from the
//! first to the last row. A faulty row gets its faults in its place and the stream goes on; a body that breaks off or falls silent
//! gets a last row that says so, and the connection is cut, so that nobody takes a part for the whole.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use ratchet_model::Rows;
use serde_json::{Map, Value};

use super::answer::{Answering, Predicted, whole};
use super::body::discard;
use super::columns;
use super::format::Format;
use super::lines::Lines;
use super::rows::{Opening, RowFaults, RowReader, SentRow};
use super::writer::RowWriter;
use crate::problem::{LISTED, Problem};
use crate::record::{Asked, Recorded};
use crate::service::Application;

/// How long a body may be silent.
pub const SILENCE: Duration = Duration::from_secs(30);
/// Largest part of a body that is answered at once, in bytes.
const PIECE: usize = 16 * 1024;

/// Answers a stream of rows. Returns when the answer begins; for CSV that is when the header was read.
///
/// # Errors
/// 422 if the header is wrong, 400 or 408 if the body breaks off or is silent before it begins.
pub async fn answer(
    application: Arc<Application>,
    answering: Answering,
    asked: Asked,
    format: Format,
    body: Body,
) -> Result<Response, Problem> {
    let (mut reader, writer) = match format {
        Format::Csv => {
            let columns = columns::columns(&answering)?;
            (RowReader::Delimited(Box::default()), RowWriter::Csv { columns })
        }
        Format::Ndjson | Format::Json => (RowReader::Lines(Lines::default()), RowWriter::Ndjson),
    };
    let mut headers = answering.headers();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    // A proxy that collects the answer would hold back what the client waits for.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    let mut incoming = Incoming {
        body: body.into_data_stream(),
        rest: Bytes::new(),
    };
    let mut ended = false;
    let mut early = Vec::new();
    loop {
        match reader.opening() {
            Opening::Done => break,
            Opening::Refused(faults) => {
                discard(incoming.body).await;
                let found = faults.len();
                return Err(Problem::invalid_fields(faults, found));
            }
            Opening::Reading => {}
        }
        let schema = answering.served.bundle.schema();
        // A piece that holds the end of the header may hold rows too.
        let mut each = |row: SentRow| early.push(row);
        match incoming.next().await {
            Input::Piece(piece) => reader.feed(&piece, schema, &mut each),
            Input::End => {
                ended = true;
                reader.finish(schema, &mut each);
            }
            Input::Broken(problem) => return Err(problem),
        }
    }
    let worker = Worker {
        answering,
        reader,
        writer,
        row: 0,
        listed: 0,
    };
    let flow = Flow {
        application,
        asked,
        incoming,
        worker: Some(worker),
        early: Some(early),
        state: if ended { State::Ended } else { State::Open },
    };
    let stream = futures::stream::try_unfold(flow, |mut flow| async move {
        Ok::<_, io::Error>(flow.next().await?.map(|frame| (Bytes::from(frame), flow)))
    });
    Ok((headers, Body::from_stream(stream)).into_response())
}

/// The body, piece by piece.
struct Incoming {
    body: BodyDataStream,
    rest: Bytes,
}

enum Input {
    Piece(Bytes),
    End,
    Broken(Problem),
}

impl Incoming {
    async fn next(&mut self) -> Input {
        if self.rest.is_empty() {
            match tokio::time::timeout(SILENCE, self.body.next()).await {
                Ok(Some(Ok(chunk))) => self.rest = chunk,
                Ok(Some(Err(_))) => return Input::Broken(Problem::broken_body()),
                Ok(None) => return Input::End,
                Err(_) => return Input::Broken(Problem::silent(SILENCE.as_secs())),
            }
        }
        Input::Piece(self.rest.split_to(self.rest.len().min(PIECE)))
    }
}

enum State {
    Open,
    Ended,
    Cut,
}

/// A stream between two frames of its answer.
struct Flow {
    application: Arc<Application>,
    asked: Asked,
    incoming: Incoming,
    /// Here unless it is at work.
    worker: Option<Worker>,
    /// Rows that came in one piece with the header; none once the answer has begun.
    early: Option<Vec<SentRow>>,
    state: State,
}

impl Flow {
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(early) = self.early.take() {
            let begun = self.work(Task::Begin(early)).await?;
            if !begun.is_empty() {
                return Ok(Some(begun));
            }
        }
        loop {
            match self.state {
                State::Open => {}
                State::Ended => return Ok(None),
                State::Cut => return Err(io::Error::other("the body broke off")),
            }
            let input = self.incoming.next().await;
            match input {
                Input::Piece(_) => {}
                Input::End => self.state = State::Ended,
                Input::Broken(_) => self.state = State::Cut,
            }
            let output = self.work(Task::Go(input)).await?;
            if !output.is_empty() {
                return Ok(Some(output));
            }
        }
    }

    /// Answers on a thread that may be kept busy, because those that read and write sockets must not.
    async fn work(&mut self, task: Task) -> io::Result<Vec<u8>> {
        let Some(mut worker) = self.worker.take() else {
            return Err(io::Error::other("the stream failed before"));
        };
        let work = tokio::task::spawn_blocking(move || {
            let done = worker.work(task);
            (worker, done)
        });
        let (worker, done) = work.await.map_err(|error| {
            tracing::error!(%error, "answering a stream failed");
            io::Error::other("the service failed")
        })?;
        let served = &worker.answering.served;
        let telemetry = &self.application.telemetry;
        let rows = done.predictions.len() as u64;
        telemetry.predictions(&served.name, &served.alias, rows, done.out_of_distribution);
        telemetry.unmatched(&served.name, &done.predictions);
        let recorder = &self.application.recorder;
        for (faults, input) in done.refused {
            recorder.refused_row(self.asked.clone(), served.clone(), &faults, input);
        }
        if rows > 0 {
            recorder.answered(
                self.asked.clone(),
                Recorded {
                    served: served.clone(),
                    shadows: worker.answering.shadows.clone(),
                    inputs: done.inputs,
                    rows: done.read,
                    predictions: done.predictions,
                    answers: done.answers,
                },
            );
        }
        self.worker = Some(worker);
        Ok(done.output)
    }
}

enum Task {
    Begin(Vec<SentRow>),
    Go(Input),
}

/// What turns rows into answers.
struct Worker {
    answering: Answering,
    reader: RowReader,
    writer: RowWriter,
    /// Number of the next row, from 0.
    row: u64,
    /// Faulty rows that went to the log.
    listed: usize,
}

#[derive(Default)]
struct Done {
    output: Vec<u8>,
    out_of_distribution: u64,
    inputs: Vec<Map<String, Value>>,
    read: Vec<Rows>,
    predictions: Vec<Predicted>,
    answers: Vec<Bytes>,
    refused: Vec<(RowFaults, Option<Map<String, Value>>)>,
}

impl Worker {
    fn work(&mut self, task: Task) -> Done {
        let Worker {
            answering,
            reader,
            writer,
            row: number,
            listed,
        } = self;
        let schema = answering.served.bundle.schema();
        let mut done = Done::default();
        if matches!(task, Task::Begin(_)) {
            writer.begin(&mut done.output);
        }
        let mut each = |sent: SentRow| {
            let (record, outcome) = match sent {
                Ok(record) => {
                    let outcome = answering.row(&record);
                    (record, outcome)
                }
                Err(faults) => (Map::new(), Err(faults)),
            };
            match outcome {
                Ok(row) => {
                    // A map whose keys are texts can always be written.
                    let text = serde_json::to_vec(&row.answer).unwrap_or_default();
                    writer.answer(&row.answer, &text, &mut done.output);
                    done.out_of_distribution += u64::from(row.predicted.outside > 0);
                    done.inputs.push(record);
                    done.read.push(row.rows);
                    done.predictions.push(row.predicted);
                    done.answers.push(text.into());
                }
                Err(faults) => {
                    writer.faults(*number, &faults, &mut done.output);
                    if *listed < LISTED {
                        *listed += 1;
                        done.refused
                            .push((faults, Some(record).filter(|record| !record.is_empty())));
                    }
                }
            }
            *number += 1;
        };
        match task {
            Task::Begin(early) => early.into_iter().for_each(each),
            Task::Go(Input::Piece(piece)) => reader.feed(&piece, schema, &mut each),
            Task::Go(Input::End) => reader.finish(schema, &mut each),
            Task::Go(Input::Broken(problem)) => each(Err(whole(&problem))),
        }
        done
    }
}
