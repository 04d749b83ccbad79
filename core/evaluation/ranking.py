"""How strong each model is by its votes: the Bradley-Terry model on Elo's scale, with bootstrap intervals.

Of two models, i is preferred with probability 1 / (1 + 10 ** ((r_j - r_i) / 400)) (Bradley & Terry 1952). A vote on
several answers counts as the winner's win over each of the others; where none was better, each pair gets half a win
each way. Strengths are those of the largest likelihood, with a tenth of a drawn comparison of each model against an
average one added (PRIOR): it moves nothing that votes decide, and keeps finite what they leave open. Intervals resample
whole votes, since the pairs of one vote hang together. Models that no chain of votes connects have no common scale:
each such group has its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from core.errors import AtelierError, NotAllowed
from core.evaluation.resampling import DRAWS, Interval, percentile_interval
from core.evaluation.rounds import Contestant
from core.evaluation.votes import Vote
from core.words import Sentence, say

if TYPE_CHECKING:
    import numpy as np

    from core.models.registry import Registry

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

PRIOR = 0.1
"""Comparisons, half won and half lost, against an average model that every model is given."""
SCALE, CENTRE = 400 / math.log(10), 1000
"""Points of Elo's scale for one unit of log-odds, and the mean of each group."""
FEWEST_VOTES = 10
"""Below so many, a model is said to have too few."""
MOST_STEPS, LONGEST_STEP, SETTLED = 200, 2.0, 1e-9
"""Of Newton's method, in log-odds."""

Kind = tuple[tuple[Contestant, ...], Contestant | None]
"""Who stood beside each other, in the order of their names, and who was better."""


@dataclass(frozen=True)
class Rated:
    """One model's place; ratings of different groups cannot be compared."""

    model: Contestant
    group: int
    """1 = the largest."""
    rating: float
    interval: Interval | None
    """None where so few votes, or votes that all say the same, cannot be resampled."""
    votes: int
    won: int
    drawn: int
    """Votes in which nobody was better."""
    open_ended: bool
    """The votes alone would put it infinitely far from others of its group; only the prior does not."""

    @property
    def lost(self) -> int:
        """Votes that another model won."""
        return self.votes - self.won - self.drawn

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        numbers = {"rating": self.rating, "low": low, "high": high}
        told = {name: None if value is None else round(value, 1) for name, value in numbers.items()}
        counts = {name: getattr(self, name) for name in ("group", "votes", "won", "drawn", "lost", "open_ended")}
        return {**asdict(self.model), **told, **counts}


@dataclass(frozen=True)
class Ranking:
    """The models of a task, group by group, the strongest first."""

    task: str
    votes: int
    rated: tuple[Rated, ...]

    @property
    def groups(self) -> int:
        """How many groups there are that no vote connects."""
        return max((one.group for one in self.rated), default=0)

    @property
    def notes(self) -> tuple[Sentence, ...]:
        """What the numbers are, and what they cannot tell."""
        few = [one.model.name for one in self.rated if one.votes < FEWEST_VOTES]
        ends = [one.model.name for one in self.rated if one.open_ended]
        told = [say("say.ranking_how", prior=PRIOR, draws=DRAWS)]
        if few:
            told.append(say("say.ranking_few", names=", ".join(dict.fromkeys(few)), fewest=FEWEST_VOTES))
        if ends:
            told.append(say("say.ranking_open_ended", names=", ".join(dict.fromkeys(ends))))
        if self.groups > 1:
            told.append(say("say.ranking_groups", groups=self.groups))
        return tuple(told)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        told = {"task": self.task, "votes": self.votes, "models": [one.as_dict() for one in self.rated]}
        return {**told, "notes": [str(note) for note in self.notes]}


def tellable(votes: Iterable[Vote], registry: Registry) -> list[Vote]:
    """Return the votes on models that this instance offers: a link that strangers have tells no folder and no run."""
    allowed: dict[tuple[str, str], bool] = {}

    def offered(name: str, task: str) -> bool:
        if (name, task) not in allowed:
            allowed[name, task] = _offers(registry, name, task)
        return allowed[name, task]

    return [vote for vote in votes if all(offered(one.name, vote.task) for one in vote.models)]


def _offers(registry: Registry, name: str, task: str) -> bool:
    try:
        registry.resolve(name, task)
    except NotAllowed:
        return False
    except AtelierError:  # it has gone since; that it was judged is still true
        return True
    return True


def rank(task: str, votes: Sequence[Vote], draws: int = DRAWS, seed: int = 0, prior: float = PRIOR) -> Ranking:
    """Rank the models of these votes, in whatever order the votes come; `prior` is above 0."""
    kinds = Counter(_kind(vote) for vote in votes)
    groups = sorted(_groups(kinds), key=lambda models: (-len(models), models))
    rated = [
        one
        for number, models in enumerate(groups, 1)
        for one in _rate(models, kinds, number, lambda wins: strengths(wins, prior), (draws, seed))
    ]
    return Ranking(task, len(votes), tuple(rated))


def _kind(vote: Vote) -> Kind:
    return tuple(sorted(vote.models)), vote.winner


def _groups(kinds: Iterable[Kind]) -> list[list[Contestant]]:
    """Return the models that votes connect with each other, sorted."""
    groups: list[set[Contestant]] = []
    for models, _ in kinds:
        joined = {*models}.union(*(one for one in groups if not one.isdisjoint(models)))
        groups = [*(one for one in groups if one.isdisjoint(models)), joined]
    return [sorted(one) for one in groups]


def _rate(
    models: list[Contestant],
    kinds: Counter[Kind],
    group: int,
    fit: Callable[[Numbers], Numbers],
    resampling: tuple[int, int],
) -> list[Rated]:
    """Rate one group; `resampling` is how many draws, and their seed."""
    import numpy as np

    own = sorted((kind for kind in kinds if kind[0][0] in models), key=_order)
    counts = np.array([kinds[kind] for kind in own])
    table = np.stack([_wins(kind, models) for kind in own])  # (kinds, models, models)
    whole, drawn = np.tensordot(counts, table, 1), _drawn(counts, table, *resampling)
    scores = _points(fit(drawn))
    scores[(drawn + drawn.swapaxes(1, 2)).sum(2) == 0] = np.nan  # a draw without the model tells nothing of it
    ratings, ends = _points(fit(whole[None]))[0], _open_ended(whole)
    found = []
    for place, model in enumerate(models):
        counted, open_ended = _counted(model, own, kinds), bool(ends[place])
        sure = counted[0] >= FEWEST_VOTES and not open_ended  # else the draws are much the same, and hide the doubt
        interval = percentile_interval(scores[:, place]) if sure else None
        found.append(Rated(model, group, float(ratings[place]), interval, *counted, open_ended))
    return sorted(found, key=lambda one: (-one.rating, one.model))


def _drawn(counts: Any, table: Numbers, draws: int, seed: int) -> Numbers:
    """Return the wins (draws, models, models) of as many votes again, drawn with replacement."""
    import numpy as np

    times = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=draws)
    return np.tensordot(times.astype(float), table, 1)


def _order(kind: Kind) -> tuple[Any, ...]:
    models, winner = kind
    return models, winner is None, winner or models[0]


def _counted(model: Contestant, own: Iterable[Kind], kinds: Counter[Kind]) -> tuple[int, int, int]:
    """Return in how many votes a model stood, how many it won, and how many nobody won."""
    mine = [kind for kind in own if model in kind[0]]
    won, drawn = ([kinds[kind] for kind in mine if kind[1] == winner] for winner in (model, None))
    return sum(kinds[kind] for kind in mine), sum(won), sum(drawn)


def _wins(kind: Kind, models: list[Contestant]) -> Numbers:
    """Return what one vote adds: (models, models), the row's wins over the column."""
    import numpy as np

    beside, winner = kind
    wins = np.zeros((len(models), len(models)))
    places = [models.index(one) for one in beside]
    for one in places:
        for other in places:
            if one != other:
                wins[one, other] = 0.5 if winner is None else float(models[one] == winner)
    return wins


def strengths(wins: Numbers, prior: float) -> Numbers:
    """Return log-odds strengths (draws, models) of wins (draws, models, models): each draw's largest likelihood.

    Newton's method on all draws at once; `prior` makes every likelihood strictly concave.
    """
    import numpy as np

    games, diagonal = wins + wins.swapaxes(1, 2), np.arange(wins.shape[1])
    found = np.zeros(wins.shape[:2])
    for _ in range(MOST_STEPS):
        chance = _logistic(found[:, :, None] - found[:, None, :])  # that the row is better than the column
        average = _logistic(found)
        gradient = (wins - games * chance).sum(2) + prior * (0.5 - average)
        curved = games * chance * (1 - chance)
        bend = -curved
        bend[:, diagonal, diagonal] += curved.sum(2) + prior * average * (1 - average)
        step = np.linalg.solve(bend, gradient[:, :, None])[:, :, 0]
        found += np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max(initial=0.0) < SETTLED:
            break
    return found


def _logistic(x: Numbers) -> Numbers:
    import numpy as np

    return np.asarray(1 / (1 + np.exp(-x)))


def _points(found: Numbers) -> Numbers:
    """Put log-odds on Elo's scale, around CENTRE."""
    import numpy as np

    return np.asarray(CENTRE + SCALE * (found - found.mean(1, keepdims=True)))


def _open_ended(wins: Numbers) -> Numbers:
    """Tell which models stand outside of the largest circle in which each has half a win over the next.

    Only within such a circle has the likelihood a finite maximum (Ford 1957).
    """
    import numpy as np

    reached = (wins > 0) | np.eye(len(wins), dtype=bool)
    for middle in range(len(wins)):
        reached |= reached[:, [middle]] & reached[[middle], :]
    sizes = (reached & reached.T).sum(1)
    alone = (sizes == sizes.max()).sum() == sizes.max()
    return np.asarray(sizes < sizes.max() if alone else np.ones(len(wins), dtype=bool))
