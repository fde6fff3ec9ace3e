/** Returns an element that the caller knows to exist. */
export function itemAt<Item>(items: ArrayLike<Item>, at: number): Item {
  if (at < 0 || at >= items.length) {
    throw new RangeError(`no item ${at} among ${items.length}`);
  }
  return items[at] as Item;
}

/** Pairs two rows of equal length. */
export function zip<Left, Right>(
  left: readonly Left[],
  right: readonly Right[],
): readonly (readonly [Left, Right])[] {
  if (left.length !== right.length) {
    throw new RangeError(`rows of ${left.length} and ${right.length} items`);
  }
  return left.map((item, at) => [item, itemAt(right, at)] as const);
}
