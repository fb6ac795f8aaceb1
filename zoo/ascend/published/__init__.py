"""What others measured on Ascend chips and published, and how to build the models that they measured."""

from zoo.ascend.published.mapping import AGREEMENTS as AGREEMENTS
from zoo.ascend.published.mapping import Mapped as Mapped
from zoo.ascend.published.mapping import Published as Published
from zoo.ascend.published.mapping import covering as covering
from zoo.ascend.published.mapping import mapped as mapped
from zoo.ascend.published.table import Row as Row
from zoo.ascend.published.table import rows as rows
from zoo.ascend.published.table import usable as usable
