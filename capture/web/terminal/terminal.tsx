import { useEffect, useState } from "preact/hooks";
import { Bar, Login, type Person, whoAmI } from "../shared/session";
import { t } from "../shared/texts";

export function Terminal() {
  const [person, setPerson] = useState<Person | null>(null);
  useEffect(() => void whoAmI().then(setPerson, () => {}), []);
  const title = t("Captura de actas");
  if (person === null) return <Login title={title} onLogin={setPerson} />;
  return <Bar title={title} person={person} onLogout={() => setPerson(null)} />;
}
