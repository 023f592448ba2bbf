"""fixtures/chat: chat templates with conversations, as transformers renders them and marks what the assistant says."""

import json
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

from fixtures_common import fresh_folder, write_json, write_versions

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}

# Written for these tests, in the manners that published templates have.
TEMPLATES = {
    "turns": (
        "{% for message in messages %}{{ '<|begin|>' + message['role'] + '\\n' + message['content'] + '<|end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|begin|>assistant\\n' }}{% endif %}"
    ),
    "system first": """{%- if messages[0].role == 'system' %}
    {{- bos_token + '[SYS] ' + messages[0].content | trim + ' [/SYS]' }}
    {%- set rest = messages[1:] %}
{%- else %}
    {{- bos_token }}
    {%- set rest = messages %}
{%- endif %}
{%- for message in rest %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('user and assistant have to take turns') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {{- '[ASK] ' + message.content.strip() + ' [/ASK]' }}
    {%- else %}
        {{- ' ' + message.content.strip() + eos_token }}
    {%- endif %}
{%- endfor %}
""",
    "marked": """{% for message in messages %}
    {% if message.role == 'assistant' %}
        {{ '<a>' }}
        {%- generation %}{{ message.content }}</a>{% endgeneration %}

    {% else %}
<u>{{ message.content }}</u>
    {% endif %}
{% endfor %}
{%- if add_generation_prompt -%}<a>{%- endif -%}
""",
    "namespace": """{%- set state = namespace(count=0, last='') -%}
{%- for message in messages -%}
    {%- set state.count = state.count + 1 -%}
    {%- set state.last = message['role'] -%}
    {%- if message['role'] not in ['user', 'assistant', 'system'] -%}{%- continue -%}{%- endif -%}
    {{ state.count }}. {{ message['role'].upper() }}{% if message.get('name') %} ({{ message['name'] }}){% endif %}: {{ message['content'] | tojson }}
{% endfor -%}
({{ state.count }} of {{ messages | length }}, last {{ state.last | default('nobody') }}, {{ tools is none }}, {{ none }}, {{ true }})
{%- if add_generation_prompt %}
NEXT:{% endif %}""",
    "objects": """{%- for message in messages %}
{{- message | tojson(indent=2) }}
{%- for key, value in message.items() %} {{ key }}={{ value }};{% endfor %}
{{- message.content.split(' ')[0] ~ (1 if message.content.startswith('H') else 2) ~ message.content.replace('a', 'o') }}
{% endfor %}""",
}

CONVERSATIONS = [
    [{"role": "user", "content": "Hello there"}, {"role": "assistant", "content": "Hi! What can I do?"}],
    [
        {"role": "system", "content": "  Be short.  "},
        {"role": "user", "content": "Say \"a <b>\" & 'c'"},
        {"role": "assistant", "content": "a <b> ünïcödé 😀"},
        {"role": "user", "content": " again\n"},
        {"role": "assistant", "content": "no\n"},
    ],
    [{"role": "user", "content": "Alone", "name": "Ann"}],
    [{"role": "user", "content": "one"}, {"role": "user", "content": "two"}],
]


def rendered(template, conversation, prompt):
    try:
        found, _ = render_jinja_template([conversation], chat_template=template, add_generation_prompt=prompt, **TOKENS)
        return found[0]
    except Exception as error:  # the template's own
        return {"error": str(error)}


def marked(template, conversation):
    """Where the template says that the assistant speaks, in characters; nothing where it marks nothing."""
    if "endgeneration" not in template:
        return []
    _, spans = render_jinja_template([conversation], chat_template=template, return_assistant_tokens_mask=True, **TOKENS)
    return [list(span) for span in spans[0]]


def make(root):
    folder = fresh_folder(Path(root) / "chat")
    transformers.logging.set_verbosity_error()
    cases = []
    for name, template in TEMPLATES.items():
        for conversation in CONVERSATIONS:
            case = {"template": name, "messages": conversation}
            case["whole"] = rendered(template, conversation, False)
            case["prompt"] = rendered(template, conversation, True)
            case["marked"] = marked(template, conversation) if isinstance(case["whole"], str) else []
            cases.append(case)
    write_json(folder / "cases.json", {"tokens": TOKENS, "templates": TEMPLATES, "cases": cases})
    write_versions(folder)
