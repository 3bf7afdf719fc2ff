#!/usr/bin/env bash
# Which ids a text has depends on a word in tokenizer_config.json and on the release of transformers, not on tokenizer.json.
#
# Packages: transformers 5.5.4 against 4.57.6.
# One would expect: where a folder holds a tokenizer.json, that file is the tokenizer.
# Seen: with "tokenizer_class": "LlamaTokenizer" over a byte-level tokenizer.json (a file that such models have), 5.5.4 takes
# vocabulary and merges alone and rebuilds the rest as Llama 2 had it: other ids for the same text, without a warning; with
# "PreTrainedTokenizerFast" the file is obeyed. "add_bos_token": false is obeyed by 4.57.6 for LlamaTokenizer, which builds
# the post-processor anew, and is ignored by 5.5.4, where the post-processor of the file alone decides.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >ids.py <<'PYTHON'
import json
import os
import sys

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXT = "the ferry left at six, with bread"
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
lines = [TEXT, "bread and tea at six", "the captain left the ferry", "six rocks, six bells"] * 20
special = ["<unk>", "<s>", "</s>"]
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
tokenizer.train_from_iterator(lines, trainer)
begin = [("<s>", tokenizer.token_to_id("<s>"))]
tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=begin)


def ids(name, **config):
    os.makedirs(name)
    tokenizer.save(f"{name}/tokenizer.json")
    words = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    with open(f"{name}/tokenizer_config.json", "w") as file:
        json.dump(words | config, file)
    return transformers.AutoTokenizer.from_pretrained(name)(TEXT)["input_ids"]


of_file = tokenizer.encode(TEXT).ids
place = sys.argv[1]
fast = ids(f"{place}/fast", tokenizer_class="PreTrainedTokenizerFast")
llama = ids(f"{place}/llama", tokenizer_class="LlamaTokenizer")
without = ids(f"{place}/without", tokenizer_class="LlamaTokenizer", add_bos_token=False)
print(f"transformers {transformers.__version__}: tokenizer.json {len(of_file)} ids, PreTrainedTokenizerFast {len(fast)}, "
      f"LlamaTokenizer {len(llama)}, that without BOS {len(without)}, which begins with <s>: {without[0] == 1}")  # fmt: skip
assert fast == of_file
assert (llama == of_file) == (place == "old"), "this has changed"
assert (without[0] == 1) == (place == "new"), "this has changed"
PYTHON
python3 -m pip install --quiet --disable-pip-version-check --target new-packages transformers==5.5.4 tokenizers==0.22.2
python3 -m pip install --quiet --disable-pip-version-check --target old-packages transformers==4.57.6 tokenizers==0.22.2
PYTHONPATH=new-packages python3 ids.py new
PYTHONPATH=old-packages python3 ids.py old
