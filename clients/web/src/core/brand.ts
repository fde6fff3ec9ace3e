/** A type that only its own constructor function hands out. */
export type Brand<Value, Name extends string> = Value & { readonly __brand: Name };
