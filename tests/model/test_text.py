import pytest
import torch
from tiny_world import PROMPTS

from worldmodel.model.text import TextConfig, TextEncoder, tokenize, words

UNICODE = ["Ein schöner Wald", "снежный лес", "雪の森", "forêt 🌲 enneigée", "ثلج", "क्षेत्र"]


def embed(model, *prompts):
    embedded, mask = model.embed_prompts(prompts)
    return embedded, mask


def test_words_and_marks_are_told_apart():
    assert words("A Snowy forest, at dusk!") == [b"a", b"snowy", b"forest", b",", b"at", b"dusk", b"!"]
    assert words("  \n ") == []


def test_bytes_of_known_words():
    prompts = tokenize(["ab c", ""], max_words=4)
    assert prompts.codes.shape == (2, 3, 16)
    assert prompts.mask.tolist() == [[True, True, True], [True, False, False]]
    assert (prompts.codes[:, 0] == 0).all(), "the null token has no bytes"
    assert prompts.codes[0, 1, :3].tolist() == [1 + ord("a"), 1 + ord("b") + 256, 0]
    assert prompts.codes[0, 2, :2].tolist() == [1 + ord("c"), 0]


def test_padding_does_not_change_a_prompt(model):
    together, mask = embed(model, *PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone, alone_mask = embed(model, prompt)
        assert torch.equal(mask[i, : alone.shape[1]], alone_mask[0])
        assert not mask[i, alone.shape[1] :].any()
        torch.testing.assert_close(together[i, : alone.shape[1]], alone[0], atol=1e-5, rtol=1e-5)


def test_words_read_each_other(model):
    one, _ = embed(model, "red sand")
    other, _ = embed(model, "blue sand")
    assert (one[0, 2] - other[0, 2]).abs().max() > 1e-3
    assert (one[0, 0] - other[0, 0]).abs().max() > 1e-3, "the null token reads the prompt, too"


def test_order_of_words_counts(model):
    one, _ = embed(model, "dog bites man")
    other, _ = embed(model, "man bites dog")
    assert (one[0, 2] - other[0, 2]).abs().max() > 1e-3


def test_different_words_start_far_apart():
    """A sum of independent vectors for independent bytes: nearly orthogonal, before anything is learned."""
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig(width=192), 32)
    vectors = encoder.bytes(encoder.tokenize(["fog", "desert", "lava"]).codes).sum(2)[:, 1]
    likeness = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
    assert likeness.fill_diagonal_(0).abs().max() < 0.5


def test_case_and_spaces_do_not_count(model):
    assert torch.equal(embed(model, "A  Snowy\nForest ")[0], embed(model, "a snowy forest")[0])


def test_empty_prompt_is_the_null_token_alone(model):
    embedded, mask = embed(model, "")
    assert embedded.shape == (1, 1, 32)
    assert mask.tolist() == [[True]]
    assert torch.equal(embedded, embed(model, " \t")[0])
    assert (embedded - embed(model, "rain")[0][:, :1]).abs().max() > 1e-3


@pytest.mark.parametrize("prompt", UNICODE)
def test_any_language_has_an_embedding_of_its_own(model, prompt):
    embedded, _ = embed(model, prompt)
    assert embedded.isfinite().all()
    assert embedded.shape[1] > 1
    others = [embed(model, other)[0] for other in UNICODE if other != prompt]
    assert all(other.shape != embedded.shape or not torch.allclose(other, embedded) for other in others)


def test_letters_of_any_script_make_words():
    assert words("снежный Лес") == ["снежный".encode(), "лес".encode()]
    assert words("forêt 🌲") == ["forêt".encode(), "🌲".encode()]


def test_all_bytes_have_places_of_their_own():
    codes = tokenize(["abcdefghijklmnop", "ÿ" * 8], max_words=1).codes
    used = codes[:, 1][codes[:, 1] > 0]
    assert len(used.unique()) == 32
    assert used.max() <= 256 * 16
    assert (codes[:, 1].argsort(dim=1) == torch.arange(16)).all(), "later bytes have higher codes"


@pytest.mark.parametrize(
    ("one", "other"), [("一只猫在雪地里走", "一只猫在雪山上睡"), ("microarchitectural", "microarchitecture")]
)
def test_the_end_of_a_long_word_counts(one, other):
    codes = tokenize([one, other], max_words=12).codes
    assert not torch.equal(codes[0], codes[1])


def test_a_byte_that_is_not_there_adds_nothing(model):
    assert (model.text.bytes(torch.tensor(0)) == 0).all()


def test_prompt_that_is_too_long_is_refused_with_its_length(model):
    fitting = " ".join(["word"] * 12)
    assert embed(model, fitting)[0].shape[1] == 13
    with pytest.raises(ValueError, match="^prompt: expected at most 12 words, got 13 .*; shorten it"):
        embed(model, "fine", fitting + " more")


def test_captions_of_data_may_be_cut_off(model):
    prompts = model.text.tokenize([" ".join(["word"] * 30)], truncate=True)
    assert torch.equal(prompts.codes, model.text.tokenize([" ".join(["word"] * 12)]).codes)


@pytest.mark.parametrize(("prompt", "kind"), [(None, "NoneType"), (7, "int"), (b"rain", "bytes")])
def test_what_is_no_string_is_refused(model, prompt, kind):
    with pytest.raises(TypeError, match=f"^prompt: expected a string, got {kind}"):
        embed(model, prompt)


def test_no_prompts_are_no_rows():
    prompts = tokenize([], max_words=4)
    assert prompts.codes.shape == (0, 1, 16)
