"""What sets of pictures on disk may say: how pictures are fitted, divided, dealt into folds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from simsplit.scenario.spec import Count, Fraction, Spec, Whole


def _each_once(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and len(set(names)) < len(names):
        raise ValueError("each class once")
    return names


Classes = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...] | None, AfterValidator(_each_once)
]


class Shares(Spec):
    """How data that come as one are divided: shares that sum to 1, drawn class by class.

    The same seed gives the same split whatever else changes; no sample is in two.
    """

    train: Fraction = 0.8
    validation: Fraction = 0.1
    test: Fraction = 0.1
    seed: Whole = 0

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-9:
            raise ValueError(f"train, validation and test must sum to 1, found {total:g}")
        return self


class PictureData(Spec):
    """What all sets of pictures on disk may say.

    ``channels``: 3 for colour (a grey picture becomes three equal channels) or 1 for grey (Rec. 601
    luma of a colour picture). ``split`` counts where the set itself has no splits.
    """

    fit: Literal["resize", "crop", "pad"] | None = None
    channels: Literal[1, 3] = 3
    split: Shares = Shares()


class FoldedData(PictureData):
    """What sets may say of which all pictures can be dealt into folds, for cross-validation.

    ``folds``: into how many parts all pictures are dealt, those of all splits. Part ``fold`` (1 …)
    is the test split, ``fold_validation`` of the rest validation, what is left train.
    """

    folds: Annotated[Count, Field(ge=2)] | None = None
    fold: Annotated[Count | None, Field(validate_default=True)] = None
    fold_validation: Annotated[Fraction, Field(lt=1)] = 0.1

    @field_validator("folds")
    @classmethod
    def _deals_by_itself(cls, folds: int | None, info: ValidationInfo) -> int | None:
        shares = info.data.get("split", Shares())
        if folds is not None and shares.model_copy(update={"seed": 0}) != Shares():
            raise ValueError("folds are of equal size; of split only the seed counts")
        return folds

    @field_validator("fold")
    @classmethod
    def _among_folds(cls, fold: int | None, info: ValidationInfo) -> int | None:
        folds = info.data.get("folds")
        if "folds" in info.data and (fold is None) != (folds is None):
            raise ValueError("folds (how many) and fold (which is the test split) need each other")
        if fold is not None and folds is not None and fold > folds:
            raise ValueError(f"must be one of 1 … {folds}")
        return fold

    @field_validator("fold_validation")
    @classmethod
    def _of_folds(cls, share: float, info: ValidationInfo) -> float:
        if "folds" in info.data and info.data["folds"] is None:
            raise ValueError("fold_validation needs folds; without them split says the shares")
        return share

    @model_serializer(mode="wrap")
    def _folds_if_any(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        unsaid = () if self.folds else ("folds", "fold", "fold_validation")
        return {key: value for key, value in content.items() if key not in unsaid}
