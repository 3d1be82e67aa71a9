/** What the page's script gets to draw: plain data, as it stands in the page. */

export interface ChartLine {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** A chart with a choice: one picture for each combination of values. */
export interface ChartData {
  /** Identifier of the element to draw in. */
  readonly id: string;
  readonly x: string;
  readonly y: string;
  readonly isLogX: boolean;
  readonly isLogY: boolean;
  /** Lines go on level to the next point, as those of a distribution do. */
  readonly isStepped: boolean;
  /** What can be chosen, by name: values in their order. */
  readonly choices: readonly { readonly name: string; readonly values: readonly string[] }[];
  readonly pictures: readonly {
    /** A value of each choice. */
    readonly chosen: readonly string[];
    readonly lines: readonly ChartLine[];
  }[];
}
