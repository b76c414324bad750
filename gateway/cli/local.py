"""``gateway local``: the realtime server of this machine, for tests and trials without any account."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(local)


def local(
    *,
    port: Annotated[int, typer.Option(help="Where it listens; 0 takes a free port.")] = 8089,
    host: Annotated[str, typer.Option(help="Address to listen on; it asks nobody for a key, so keep it private.")] = (
        "127.0.0.1"
    ),
    threads: Annotated[int, typer.Option(min=1, help="Utterances that are worked on at the same time.")] = 2,
    pace: Annotated[float, typer.Option(min=1.0, help="Audio is sent this many times faster than real time.")] = 8.0,
    llm_url: Annotated[
        str,
        typer.Option(envvar="LOCAL_LLM_URL", help="OpenAI-compatible chat endpoint that answers instead of the rules."),
    ] = "",
    llm_model: Annotated[str, typer.Option(help="The name of the model at that endpoint.")] = "local",
) -> None:
    """Serve a realtime model on this machine: real voice detection, recognition and speech, answers by rules."""
    from gateway.local.__main__ import serve  # noqa: PLC0415 (numpy and onnxruntime: only this command needs them)

    raise typer.Exit(serve(host=host, port=port, threads=threads, pace=pace, llm_url=llm_url, llm_model=llm_model))
