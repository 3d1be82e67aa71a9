/**
 * Time of day in the registers of an MC146818: seconds since 1970 to register bytes and back, and the alarm.
 *
 * Source: MC146818A data sheet, "Time, Calendar, and Alarm Locations". Binary or BCD (bit DM of register B), 24 hours or
 * 12 with bit 7 for PM; day of the week 1 is Sunday.
 */
const SECONDS = 0;
const SECONDS_ALARM = 1;
const MINUTES = 2;
const MINUTES_ALARM = 3;
const HOURS = 4;
const HOURS_ALARM = 5;
const WEEKDAY = 6;
const DAY = 7;
const MONTH = 8;
const YEAR = 9;

const B_BINARY = 0x04;
const B_24_HOURS = 0x02;
const PM = 0x80;
/** From here on an alarm byte matches every value. */
const ALARM_ANY = 0xc0;

/**
 * Puts a moment into the registers.
 *
 * @param seconds - since 1970, UTC; @param control - register B; @param century - register of the century, always BCD
 */
export function writeTime(
  cmos: Uint8Array,
  seconds: number,
  control: number,
  century: number,
): void {
  const date = new Date(seconds * 1000);
  const put = (register: number, value: number) => {
    cmos[register] = (control & B_BINARY) !== 0 ? value : toBcd(value);
  };
  const hours = date.getUTCHours();
  put(SECONDS, date.getUTCSeconds());
  put(MINUTES, date.getUTCMinutes());
  if ((control & B_24_HOURS) !== 0) put(HOURS, hours);
  else {
    put(HOURS, hours % 12 === 0 ? 12 : hours % 12);
    if (hours >= 12) cmos[HOURS]! |= PM;
  }
  put(WEEKDAY, date.getUTCDay() + 1);
  put(DAY, date.getUTCDate());
  put(MONTH, date.getUTCMonth() + 1);
  put(YEAR, date.getUTCFullYear() % 100);
  cmos[century] = toBcd(Math.floor(date.getUTCFullYear() / 100));
}

/** The moment that the registers show; values that no calendar has run over into the next field. */
export function readTime(cmos: Uint8Array, control: number, century: number): number {
  const get = (register: number, mask = 0xff) => {
    const value = cmos[register]! & mask;
    return (control & B_BINARY) !== 0 ? value : fromBcd(value);
  };
  let hours = get(HOURS);
  if ((control & B_24_HOURS) === 0) {
    hours = (get(HOURS, 0x7f) % 12) + ((cmos[HOURS]! & PM) !== 0 ? 12 : 0);
  }
  const year = fromBcd(cmos[century]!) * 100 + get(YEAR);
  const date = new Date(0);
  date.setUTCFullYear(year, get(MONTH) - 1, get(DAY));
  date.setUTCHours(hours, get(MINUTES), get(SECONDS));
  return date.getTime() / 1000;
}

/** Whether the alarm bytes match the time; both are in the same format. */
export function alarmMatches(cmos: Uint8Array): boolean {
  const matches = (alarm: number, time: number) =>
    cmos[alarm]! >= ALARM_ANY || cmos[alarm] === cmos[time];
  return (
    matches(SECONDS_ALARM, SECONDS) &&
    matches(MINUTES_ALARM, MINUTES) &&
    matches(HOURS_ALARM, HOURS)
  );
}

function toBcd(value: number): number {
  return (Math.floor(value / 10) << 4) | (value % 10);
}

function fromBcd(value: number): number {
  return (value >> 4) * 10 + (value & 15);
}
