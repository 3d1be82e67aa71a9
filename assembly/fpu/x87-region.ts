/**
 * What translated code calls for x87 numbers (src/translate/x87.ts): arithmetic that answers with exceptions and C1, or
 * with a negative number, and then nothing has changed and the interpreter does the instruction.
 */
export {
  ordered as regionOrder,
  product as regionProduct,
  quotient as regionQuotient,
  root as regionRoot,
  storeDouble as regionStoreDouble,
  storeInteger as regionStoreInteger,
  storeSingle as regionStoreSingle,
  sum as regionSum,
} from "./x87-numbers";
