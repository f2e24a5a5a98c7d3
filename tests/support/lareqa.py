"""Content of files in LAReQA's layout."""


def lareqa_paragraph(context_parts, questions, gap=" "):
    """One paragraph in LAReQA's layout.

    Args:
        context_parts: sentences, to be joined by `gap`, which belongs to none of them.
        questions: tuples (id, question, index of the answering sentence, offset of the answer within it).
        gap: text between sentences.
    """
    breaks, start = [], 0
    for part in context_parts:
        breaks.append([start, start + len(part)])
        start += len(part) + len(gap)
    qas = [
        {
            "id": key,
            "question": question,
            "answers": [{"text": context_parts[sentence][offset:], "answer_start": breaks[sentence][0] + offset}],
        }
        for key, question, sentence, offset in questions
    ]
    context = gap.join(context_parts)
    return {"context": context, "sentences": list(context_parts), "sentence_breaks": breaks, "qas": qas}


def lareqa_file(title, paragraphs):
    """One language's content in LAReQA's layout."""
    return {"data": [{"title": title, "paragraphs": paragraphs}]}
