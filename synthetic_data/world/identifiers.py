"""Identifiers that look right and can belong to nobody.

- *National code, tier A* (the default): block 990-999 and a check digit that is wrong on purpose. An issued code
  satisfies the check and every nine-digit body has exactly one right digit, so no code made here can have been issued.
- *National code, tier B*: block 999 with the right check digit, for testing validators. It is safe only by arrangement.
- *Legal-entity ID*: prefix 99 and a wrong check digit. *Postal code*: 0 in the first and 2 in the third place, which
the
  post never uses. *Mobile*: 097, *landline*: 029, neither of which is in the numbering plan.

Rules and sources: http://megsoft.blog.ir/post/7 (national code), persian-tools `legalId` (legal-entity ID),
https://khabarkhan.molisy.ir (postal code), libphonenumber's metadata for Iran (telephone numbers).
"""

from ..randomness import mix64, stream_key

TIER_A_CAPACITY = 90_000_000
TIER_B_CAPACITY = 1_000_000
_LEGAL_WEIGHTS = (29, 27, 23, 19, 17)


def national_check_digit(body: str) -> int:
    """The right tenth digit of a national code, from its first nine."""
    remainder = sum(int(digit) * (10 - i) for i, digit in enumerate(body)) % 11
    return remainder if remainder < 2 else 11 - remainder


def national_code_passes(code: str) -> bool:
    """Whether ten digits satisfy the national code's check."""
    return len(code) == 10 and code.isdecimal() and int(code[9]) == national_check_digit(code[:9])


def legal_check_digit(body: str) -> int:
    """The right eleventh digit of a legal-entity ID, from its first ten."""
    shift = int(body[9]) + 2
    total = sum((shift + int(digit)) * _LEGAL_WEIGHTS[i % 5] for i, digit in enumerate(body)) % 11
    return 0 if total == 10 else total


def _permuted(index: int, seed: int, purpose: str, capacity: int) -> int:
    """A keyed permutation of 0..capacity-1 (capacity a multiple of 2, 3 and 5 only): distinct in, distinct out."""
    key = mix64(stream_key(f"{purpose}:{seed}"))
    factor = (key % capacity) * 30 % capacity + 7  # 7 plus a multiple of 30: coprime to 2, 3 and 5
    return (index * factor + (key >> 20)) % capacity


class NationalCodes:
    """Mints one national code for each member number of a population."""

    def __init__(self, seed: int, tier: str = "A") -> None:
        self._seed, self._tier = seed, tier
        self.capacity = TIER_A_CAPACITY if tier == "A" else TIER_B_CAPACITY

    def mint(self, member: int) -> str:
        """The code of a member number; raises ValueError beyond the block's capacity."""
        if not 0 <= member < self.capacity:
            raise ValueError(f"the block holds {self.capacity} national codes, number {member} is beyond it")
        if self._tier == "B":
            body = f"999{_permuted(member, self._seed, 'tier-b', TIER_B_CAPACITY):06d}"
            return body + str(national_check_digit(body))
        serial, wrong = divmod(_permuted(member, self._seed, "national-code", TIER_A_CAPACITY), 9)
        body = f"99{serial:07d}"
        return body + str((national_check_digit(body) + 1 + wrong) % 10)


def legal_entity_id(index: int) -> str:
    """An 11-digit legal-entity ID with a wrong check digit."""
    body = f"99{index % 100_000_000:08d}"
    return body + str((legal_check_digit(body) + 1 + index % 9) % 10)


def postal_code(uniform: float) -> str:
    """A ten-digit postal code that the post cannot have given out."""
    number = int(uniform * 10_000_000)
    code = f"0{1 + number % 9}2{number:07d}"
    # A ten-digit number may not pass for a national code by accident, either.
    return code if not national_code_passes(code) else code[:9] + str((int(code[9]) + 1) % 10)


def mobile(uniform: float) -> str:
    """A mobile number in the unallocated 097 range, in international form."""
    return f"+9897{int(uniform * 100_000_000):08d}"


def landline(uniform: float) -> str:
    """A landline number with the unallocated area code 029, in international form."""
    return f"+9829{int(uniform * 90_000_000) + 10_000_000:08d}"


def council_number(index: int) -> str:
    """A medical council number that no council gives out."""
    return f"SBX-{index % 10_000_000:07d}"
