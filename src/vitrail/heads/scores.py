"""The forms that a fitted head can have: what turns scaled features into a score for each class.

Every form gives scores whose softmax is a probability, so that one temperature scales all of them. A form is a frozen
dataclass of arrays: its fields are the tensors of a head file, named without the letters of their shape.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

# Letters: N examples, D features, C classes, H hidden units, M stored rows, Q rows scored at once.

ROWS_AT_ONCE = 64
UNIT_WITHIN = 0.01  # float16 changes the length of a unit row by less than a thousandth
SPARE = 8  # candidates beyond the k nearest, so that float32 rounding at the border cannot lose one

Array = NDArray[np.floating] | NDArray[np.int64]


class _Form:
    """How a form becomes tensors and tensors a form."""

    __slots__ = ()

    def tensors(self) -> dict[str, Array]:
        """The fields as a head file has them: floating point as float32, labels as int64."""
        tensors: dict[str, Array] = {}
        for name, field in self.names().items():
            array: Array = getattr(self, field)
            labels = array.dtype.kind == "i"
            tensors[name] = np.ascontiguousarray(array, np.int64) if labels else np.ascontiguousarray(array, np.float32)
        return tensors

    @classmethod
    def names(cls) -> dict[str, str]:
        """The name of each tensor, and of its field."""
        return {field.name.rpartition("_")[0]: field.name for field in fields(cls)}  # type: ignore[arg-type]

    @classmethod
    def of(cls, tensors: dict[str, Array]) -> Self:
        """The form with these tensors.

        Raises:
            KeyError: a tensor is missing.
        """
        return cls(**{field: tensors[name] for name, field in cls.names().items()})

    @staticmethod
    def require(name: str, array: Array, shape: tuple[int, ...], kind: str = "f") -> str | None:
        """A sentence that says what is wrong with an array; None if nothing is."""
        if array.dtype.kind != kind or array.shape != shape:
            wanted = "float32" if kind == "f" else "int64"
            return f"{name} is {array.dtype} of shape {array.shape}, not {wanted} of shape {shape}"
        return None if np.isfinite(array).all() else f"{name} holds values that are not finite"


@dataclass(frozen=True, kw_only=True, slots=True)
class Linear(_Form):
    """scaled_ND @ weight_CD.T + bias_C: logistic, ridge, softmax and centroid heads."""

    weight_CD: NDArray[np.floating]
    bias_C: NDArray[np.floating]

    def logits(self, scaled_ND: NDArray[np.float64]) -> NDArray[np.float64]:
        """N x C scores, float64."""
        result: NDArray[np.float64] = scaled_ND @ self.weight_CD.T.astype(np.float64) + self.bias_C
        return result

    def fault(self, features: int, classes: int) -> str | None:
        """A sentence that says what does not fit together; None if everything fits."""
        return self.require("weight", self.weight_CD, (classes, features)) or self.require(
            "bias", self.bias_C, (classes,)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Mlp(_Form):
    """relu(scaled_ND @ hidden_weight_HD.T + hidden_bias_H) @ weight_CH.T + bias_C."""

    hidden_weight_HD: NDArray[np.floating]
    hidden_bias_H: NDArray[np.floating]
    weight_CH: NDArray[np.floating]
    bias_C: NDArray[np.floating]

    @property
    def weight_CD(self) -> NDArray[np.floating]:  # noqa: N802
        """The weight of a row that activates every unit: its length says how regularised a head is."""
        result: NDArray[np.floating] = self.weight_CH @ self.hidden_weight_HD
        return result

    def logits(self, scaled_ND: NDArray[np.float64]) -> NDArray[np.float64]:
        """N x C scores, float64."""
        hidden_NH = np.maximum(scaled_ND @ self.hidden_weight_HD.T.astype(np.float64) + self.hidden_bias_H, 0)
        result: NDArray[np.float64] = hidden_NH @ self.weight_CH.T.astype(np.float64) + self.bias_C
        return result

    def fault(self, features: int, classes: int) -> str | None:
        """A sentence that says what does not fit together; None if everything fits."""
        H = self.hidden_bias_H.size
        return (
            self.require("hidden_weight", self.hidden_weight_HD, (H, features))
            or self.require("hidden_bias", self.hidden_bias_H, (H,))
            or self.require("weight", self.weight_CH, (classes, H))
            or self.require("bias", self.bias_C, (classes,))
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours(_Form):
    """The k rows with the greatest cosine vote for their class, each with exp(cosine / width), as Wu et al. 2018 do.

    Instance Discrimination, arXiv:1805.01978, section 3.4, there with k = 200 and width 0.07; DINO's evaluation is the
    same. Votes for a class are multiplied by its weight, which is above 0 for a class that has rows. The score is the
    log of a class's share of the votes. One more vote of mean weight is spread over all classes: otherwise a class
    without a neighbour would have probability 0.
    """

    row_MD: NDArray[np.floating]  # of length 1
    label_M: NDArray[np.int64]
    k_1: NDArray[np.int64]
    width_1: NDArray[np.floating]
    prior_C: NDArray[np.floating]  # the extra vote, as shares
    class_weight_C: NDArray[np.floating]

    def logits(self, scaled_ND: NDArray[np.float64]) -> NDArray[np.float64]:
        """N x C scores, float64."""
        blocks = [self._block(scaled_ND[at : at + ROWS_AT_ONCE]) for at in range(0, len(scaled_ND), ROWS_AT_ONCE)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(self.prior_C)))

    def _block(self, scaled_QD: NDArray[np.float64]) -> NDArray[np.float64]:
        Q, k = len(scaled_QD), int(self.k_1[0])
        cosine_Qk, row_Qk = self._nearest(unit(scaled_QD), k)
        vote_Qk = np.exp((cosine_Qk - cosine_Qk.max(axis=1, keepdims=True)) / float(self.width_1[0]))
        vote_Qk *= self.class_weight_C[self.label_M[row_Qk]]
        share_QC = np.zeros((Q, len(self.prior_C)))
        np.add.at(share_QC, (np.arange(Q)[:, None], self.label_M[row_Qk]), vote_Qk)
        share_QC /= vote_Qk.sum(axis=1, keepdims=True)
        return np.log((k * share_QC + self.prior_C) / (k + 1))

    def _nearest(self, unit_QD: NDArray[np.float64], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Candidates by float32 products with all rows, then exactly: a result does not depend on other rows."""
        near_QM = unit_QD.astype(np.float32) @ self.row_MD.T
        count = min(k + SPARE, near_QM.shape[1])
        row_Qm = np.sort(np.argpartition(-near_QM, count - 1, axis=1)[:, :count], axis=1)
        cosine_Qm = np.einsum("qd,qmd->qm", unit_QD, self.row_MD[row_Qm].astype(np.float64))
        order_Qk = np.argsort(-cosine_Qm, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosine_Qm, order_Qk, axis=1), np.take_along_axis(row_Qm, order_Qk, axis=1)

    def fault(self, features: int, classes: int) -> str | None:
        """A sentence that says what does not fit together; None if everything fits."""
        M = self.label_M.size
        return (
            self.require("row", self.row_MD, (M, features))
            or self.require("label", self.label_M, (M,), kind="i")
            or self.require("k", self.k_1, (1,), kind="i")
            or self.require("width", self.width_1, (1,))
            or self.require("prior", self.prior_C, (classes,))
            or self.require("class_weight", self.class_weight_C, (classes,))
            or self._out_of_range(M, classes)
        )

    def _out_of_range(self, M: int, classes: int) -> str | None:
        if not (1 <= self.k_1[0] <= M and self.width_1[0] > 0 and (self.prior_C > 0).all()):
            return f"k is {self.k_1[0]} of {M} rows and the width of a vote {self.width_1[0]}"
        if not are_unit(self.row_MD):
            return "a row is not of length 1"
        if self.label_M.min() < 0 or self.label_M.max() >= classes:
            return "a label is not a class"
        weighted = (self.class_weight_C >= 0).all() and (self.class_weight_C[self.label_M] > 0).all()
        return None if weighted else "a class with rows has a weight that is not above 0"


AnyScores = Linear | Mlp | Neighbours

#: Every kind of head and its form, in the order in which a search tries them. A new kind is a file that fits it, and a
#: line here.
FORM_OF: dict[str, type[Linear] | type[Mlp] | type[Neighbours]] = {
    "logistic": Linear,
    "ridge": Linear,
    "centroid": Linear,
    "knn": Neighbours,
    "softmax": Linear,
    "mlp": Mlp,
}


def unit(row_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    """Rows brought to length 1, float64; a row of zeros stays."""
    row_ND = row_ND.astype(np.float64)
    length_N1 = np.sqrt(np.einsum("nd,nd->n", row_ND, row_ND))[:, None]
    result: NDArray[np.float64] = row_ND / np.where(length_N1 == 0, 1, length_N1)
    return result


def are_unit(row_ND: NDArray[np.floating]) -> bool:
    """Whether each row is of length 1, as near as float16 keeps it, or of zeros; a NaN is neither."""
    length_N = np.linalg.norm(row_ND.astype(np.float32), axis=1)
    return bool(((np.abs(length_N - 1) < UNIT_WITHIN) | (length_N == 0)).all())
