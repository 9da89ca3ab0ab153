"""The shipped graphs in the order in which a person would read them; their names begin with it."""

from __future__ import annotations

from collections.abc import Callable

from . import figures, first, lipe, looking, scoring, sefi_ide
from .graph import Graph
from .scene import DEMO, SD15, Stage

Draw = Callable[[Graph, Stage], None]

READ: dict[str, Draw] = {
    "quick_start": first.quick_start,
    "saved_subject": first.saved_subject,
    "many_prompts": figures.many_prompts,
    "with_and_without": figures.with_and_without,
    "ten_seeds": figures.seeds,
    "strength": figures.strengths,
    "number_of_tokens": figures.token_counts,
    "source_prompt": figures.source_texts,
    "where_it_looks": looking.where_it_looks,
    "step_by_step": looking.step_by_step,
    "two_passes": looking.two_passes,
    "attention_compared": looking.compared,
    "edit_a_picture": lipe.edit,
    "edit_from_several_pictures": lipe.several_pictures,
    "edit_with_a_tuned_model": lipe.tuned_prior,
    "masks_of_an_edit": lipe.masks,
    "what_each_mask_brings": lipe.ablation,
    "score_an_edit": scoring.table1,
    "hold_to_the_subject": sefi_ide.focus,
    "two_subjects": sefi_ide.two_subjects,
    "what_each_part_carries": sefi_ide.parts,
    "sefi_ide_setting": sefi_ide.paper_setting,
}
TWINS = {f"{number:02}_{name}": draw for number, (name, draw) in enumerate(READ.items(), start=1)}
GRAPHS: dict[str, tuple[Draw, Stage]] = {
    f"{name}_{stage.name}": (draw, stage) for name, draw in TWINS.items() for stage in (DEMO, SD15)
}
