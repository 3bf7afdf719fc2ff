#!/usr/bin/env python3
"""Owns the graded tool calls: workloads/tool-calls.jsonl (the tasks) and workloads/tool-calls.jinja (the prompt).

    python3 scripts/make_tool_calls.py           writes both
    python3 scripts/make_tool_calls.py --check   exits with 1 if a file on disk differs from what would be written

A model of 135 million parameters should solve more than half of the tasks: so the tools share their few argument
names, and each sentence holds the name of its tool and every argument, word for word. The pairing of sentences
with cities and counts is drawn with a fixed seed, and no task was kept or dropped by who solves it; the tools and
the wording of the prompt were chosen by the total score of the FP16 model alone.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKLOADS = Path(__file__).resolve().parent.parent / "workloads"
SEED = 42

# None of these stands in an example.
CITIES = (
    "Paris", "Lisbon", "Tokyo", "Berlin", "Madrid", "Chicago", "Cairo", "Vienna",
    "Toronto", "Mumbai", "Dublin", "Seattle", "Athens", "Prague", "Sydney", "Boston",
)  # fmt: skip


@dataclass(frozen=True)
class Tool:
    """A tool that the model may call, and what its tasks are made from: 16 sentences, as many as there are cities."""

    name: str
    example: str  # what the user says in the prompt's example of this tool
    example_arguments: dict[str, Any]
    sentences: tuple[str, ...]
    counts: tuple[int, ...] | None = None  # one for each sentence, or none for a tool that only takes a city


TOOLS = (
    Tool(
        name="hotel",
        example="Book a hotel in Oslo for 3 nights.",
        example_arguments={"city": "Oslo", "count": 3},
        sentences=(
            "Find a hotel in {city} for {count} nights.",
            "I need a hotel room in {city} for {count} nights.",
            "Book {count} nights in a {city} hotel.",
            "We'll stay {count} nights in {city}, which hotel is free?",
            "Could you reserve a hotel in {city}? It's for {count} nights.",
            "Hotel in {city}, {count} nights, please.",
            "My boss needs a hotel in {city} for {count} nights.",
            "{count} nights at a hotel in {city}.",
            "Get me a cheap hotel in {city} for {count} nights.",
            "For our holiday we want {count} nights in a hotel in {city}.",
            "Is there a good hotel in {city} with a room for {count} nights?",
            "I'm going to {city}. Find a hotel for {count} nights.",
            "Please look for a quiet hotel in {city}, {count} nights.",
            "Keep a hotel in {city} ready for {count} nights.",
            "The conference in {city} lasts {count} nights, so I need a hotel.",
            "A hotel near the center of {city} for {count} nights would be great.",
        ),
        counts=(2, 2, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 12, 14, 21),
    ),
    Tool(
        name="train",
        example="2 train tickets to Milan.",
        example_arguments={"city": "Milan", "count": 2},
        sentences=(
            "Buy {count} train tickets to {city}.",
            "I need {count} seats on the train to {city}.",
            "We are {count} people and take the train to {city}.",
            "Get {count} tickets for the train to {city}, please.",
            "Can you reserve {count} places on the {city} train?",
            "Train to {city}, {count} passengers.",
            "Which train goes to {city}? I need {count} tickets.",
            "Please book the night train to {city} for {count} people.",
            "My family of {count} wants to go to {city} by train.",
            "Take {count} of us to {city} on the next train.",
            "I'd like to send {count} friends to {city} by train.",
            "{count} train seats to {city} for tomorrow.",
            "Let's ride the train to {city}, {count} tickets please.",
            "Is there a train to {city} with {count} free seats?",
            "Find a fast train to {city} for {count} adults.",
            "Order {count} tickets to {city}, but for the train.",
        ),
        counts=(3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 15, 20),
    ),
    Tool(
        name="tour",
        example="A tour in Denver for 6 people.",
        example_arguments={"city": "Denver", "count": 6},
        sentences=(
            "Book a tour of {city} for {count} people.",
            "We want a guided tour through {city}, we are {count}.",
            "Find a boat tour in {city} for {count} guests.",
            "{count} tickets for the city tour in {city}, please.",
            "Can {count} of us join the tour of {city}?",
            "I'd like a walking tour in {city} for {count} friends.",
            "Tour in {city}, {count} persons.",
            "Reserve a tour of old {city} for {count} visitors.",
            "Our class of {count} needs a tour of {city}.",
            "Is there a bike tour in {city} for {count}?",
            "Plan a tour around {city} for {count} people.",
            "Sign {count} of us up for the {city} tour.",
            "When we are in {city}, get a tour for {count}.",
            "Please add a food tour of {city} for {count} guests.",
            "A private tour of {city} for {count} clients.",
            "Show {city} to {count} colleagues with a tour.",
        ),
        counts=(2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 12, 15, 18, 20, 25, 30),
    ),
    Tool(
        name="weather",
        example="How is the weather in Rome?",
        example_arguments={"city": "Rome"},
        sentences=(
            "Is the weather good in {city}?",
            "Tell me the weather for {city}.",
            "What will the weather be like in {city} tomorrow?",
            "I'm flying to {city}, what's the weather there?",
            "Weather in {city}, please.",
            "Show the weather report of {city}.",
            "Do I need an umbrella for the weather in {city}?",
            "Check the weather in {city} for me.",
            "Does {city} have nice weather this week?",
            "I need to know the weather in {city} for my trip.",
            "Any bad weather near {city}?",
            "Can you look up the weather in {city}?",
            "My sister lives in {city}. How is the weather there?",
            "Give me the weather for {city} this weekend.",
            "Will the weather in {city} be rainy?",
            "How cold is the weather in {city} right now?",
        ),
    ),
    Tool(
        name="news",
        example="Show the news from Bern.",
        example_arguments={"city": "Bern"},
        sentences=(
            "What is the news from {city}?",
            "Read me the news of {city}.",
            "Any news in {city} today?",
            "I want the latest news from {city}.",
            "News from {city}, please.",
            "Is there good news from {city}?",
            "Tell me the news about {city}.",
            "Can you get the local news of {city}?",
            "My brother moved to {city}. What's the news there?",
            "Show the sports news from {city}.",
            "Give me the news in {city} this morning.",
            "Let me hear the news of {city}.",
            "I live in {city} and missed the news.",
            "Search the news for {city}.",
            "What did the news say about {city}?",
            "Please find some news on {city}.",
        ),
    ),
    Tool(
        name="map",
        example="Open the map of London.",
        example_arguments={"city": "London"},
        sentences=(
            "Show me a map of {city}.",
            "I need a map of {city}.",
            "Open the {city} map.",
            "Where is the station in {city}? Give me a map.",
            "Can you download the map of {city}?",
            "Map of {city}, please.",
            "I'm lost in {city}, get the map.",
            "Do you have a good map of {city}?",
            "Where is {city} on the map?",
            "Send me the map for {city}.",
            "Let me see {city} on a map.",
            "Please print a map of {city} for the trip.",
            "We need a map to walk through {city}.",
            "Zoom the map to {city}.",
            "Look at the map and find {city}.",
            "A street map of {city} would help me.",
        ),
    ),
)


def call(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"name": tool.name, "arguments": arguments}


def drawn_arguments(tool: Tool) -> list[dict[str, Any]]:
    """One set of arguments for each sentence, in random order."""
    # A generator for each tool: a change to one leaves the tasks of the others as they are.
    generator = random.Random(f"{SEED}/{tool.name}")
    cities = generator.sample(CITIES, len(CITIES))
    if tool.counts is None:
        return [{"city": city} for city in cities]
    counts = generator.sample(tool.counts, len(tool.counts))
    return [{"city": city, "count": count} for city, count in zip(cities, counts, strict=True)]


def tasks(tool: Tool) -> list[dict[str, Any]]:
    pairs = zip(tool.sentences, drawn_arguments(tool), strict=True)
    return [
        {
            "id": f"{tool.name}-{number:02}",
            "prompt": sentence.format(**arguments),
            "grader": "tool_call",
            "expect": call(tool, arguments),
        }
        for number, (sentence, arguments) in enumerate(pairs, start=1)
    ]


def tasks_text() -> str:
    return "".join(json.dumps(task) + "\n" for tool in TOOLS for task in tasks(tool))


def template_text() -> str:
    """An example of each tool, then the task; ends without a line break, since the call goes on the same line."""
    examples = (
        f"User: {tool.example}\nCall: {json.dumps(call(tool, tool.example_arguments))}\n\n" for tool in TOOLS
    )
    return "".join(examples) + "User: {{ prompt }}\nCall:"


def is_current(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Writes the graded tool calls and their prompt template.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    check = parser.parse_args().check
    files = {WORKLOADS / "tool-calls.jsonl": tasks_text(), WORKLOADS / "tool-calls.jinja": template_text()}
    if not check:
        for path, text in files.items():
            path.write_bytes(text.encode())
        return 0
    stale = [path for path, text in files.items() if not is_current(path, text)]
    for path in stale:
        print(f"{path} is not what this script writes: run python3 scripts/make_tool_calls.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
