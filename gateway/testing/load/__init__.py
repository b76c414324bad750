"""A benchmark of gateways: many calls at once against one process on a core of its own.

Three programs take part. The *load* (:mod:`.process`) is one process with both ends of every call: the carrier with its
media streams, and a scripted model server that answers in bursts. The *gateway* under test stands between the two, and
so, in its turn, does the *baseline* (:mod:`.relay`), the smallest program that moves the same messages. As one process
numbers every frame that it sends, at either end, and sees it come out at the other, delay and loss need no clock but
its own. :mod:`.rig` starts and measures the programs, :mod:`.runs` alternates between them.
"""
