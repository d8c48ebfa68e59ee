"""The classes of NIST SP 1500-100 version 2 (Election Results Reporting) that a report of ours may use, as a JSON Schema.

NIST's own file says the same of these classes (compared on 2026-11-30), and `python -m load_tests.readers --nist-schema`
validates with it; the tests have no file of others, so they use this one. Written from `NIST_V2_election_results_reporting.json` of usnistgov/ElectionResultsReporting (commit 04fe7b7a, a work of
the United States government, in the public domain in the USA): every field of these classes, its type, and whether it
is required, in a notation of ours. Classes that no report of ours uses are left out, and refused.

`!` is a required field, `*` a list, `+` a list with at least one; `@A|B` is the `@id` of an object of one of these
classes; `A|B` is an object of exactly one of them; a small letter begins a type or a format of JSON Schema.
"""

from typing import Any, Final

Json = dict[str, Any]

_CONTEST: Final = (
    "Abbreviation:string BallotSubTitle:InternationalizedText BallotTitle:InternationalizedText CountStatus*:CountStatus "
    "ElectoralDistrictId!:@ReportingUnit ExternalIdentifier*:ExternalIdentifier HasRotation:boolean Name!:string "
    "OtherVoteVariation:string SequenceOrder:integer SubUnitsReported:integer SummaryCounts*:SummaryCounts "
    "TotalSubUnits:integer VoteVariation:VoteVariation BallotSelection*:CandidateSelection|PartySelection @id!:string"
)
_COUNTS: Final = (
    "GpUnitId:@ReportingUnit IsSuppressedForPrivacy:boolean OtherType:string Type!:CountItemType"  # and Device
)
_PARTY: Final = (
    "Abbreviation:string Color:HtmlColorString ExternalIdentifier*:ExternalIdentifier IsWriteIn:boolean LogoUri:uri "
    "Name!:InternationalizedText @id!:string"
)
CLASSES: Final = {
    "Candidate": "BallotName!:InternationalizedText ExternalIdentifier*:ExternalIdentifier FileDate:date "
    "IsIncumbent:boolean IsTopTicket:boolean PartyId:@Party|Coalition PostElectionStatus:CandidatePostElectionStatus "
    "PreElectionStatus:CandidatePreElectionStatus @id!:string",
    "CandidateContest": f"NumberElected:integer NumberRunoff:integer VotesAllowed!:integer {_CONTEST}",
    "CandidateSelection": "CandidateIds+!:@Candidate EndorsementPartyIds*:@Party|Coalition IsWriteIn:boolean "
    "SequenceOrder:integer VoteCounts*:VoteCounts @id!:string",
    "Coalition": f"ContestIds*:@CandidateContest PartyIds*:@Party|Coalition {_PARTY}",
    "CountStatus": "OtherType:string Status!:CountItemStatus Type!:CountItemType",
    "Election": "CountStatus*:CountStatus ElectionScopeId!:@ReportingUnit EndDate!:date "
    "ExternalIdentifier*:ExternalIdentifier Name!:InternationalizedText OtherType:string StartDate!:date "
    "Type!:ElectionType Candidate*:Candidate Contest*:CandidateContest",
    "ElectionReport": "ExternalIdentifier*:ExternalIdentifier Format!:ReportDetailLevel GeneratedDate!:date-time "
    "IsTest:boolean Issuer!:string IssuerAbbreviation!:string Notes:string SequenceEnd!:integer SequenceStart!:integer "
    "Status!:ResultsStatus TestType:string VendorApplicationId!:string Election*:Election GpUnit*:ReportingUnit "
    "Party*:Party|Coalition",
    "ExternalIdentifier": "Label:string OtherType:string Type!:IdentifierType Value!:string",
    "InternationalizedText": "Label:string Text+!:LanguageString",
    "LanguageString": "Content!:string Language!:string",
    "Party": _PARTY,
    "PartySelection": "PartyIds+!:@Party|Coalition SequenceOrder:integer VoteCounts*:VoteCounts @id!:string",
    "ReportingUnit": "CountStatus*:CountStatus IsDistricted:boolean IsMailOnly:boolean Number:string OtherType:string "
    "SubUnitsReported:integer TotalSubUnits:integer Type!:ReportingUnitType VotersParticipated:integer "
    "VotersRegistered:integer ComposingGpUnitIds*:@ReportingUnit ExternalIdentifier*:ExternalIdentifier Name:string "
    "SummaryCounts*:SummaryCounts @id!:string",
    "SummaryCounts": "BallotsCast:integer BallotsOutstanding:integer BallotsRejected:integer Overvotes:integer "
    f"Undervotes:integer WriteIns:integer {_COUNTS}",
    "VoteCounts": f"Count!:number {_COUNTS}",
}
WORDS: Final = {
    "CandidatePostElectionStatus": "advanced-to-runoff projected-winner winner withdrawn",
    "CandidatePreElectionStatus": "filed qualified withdrawn write-in",
    "CountItemStatus": "completed in-process not-processed unknown",
    "CountItemType": "absentee absentee-fwab absentee-in-person absentee-mail early election-day other provisional total "
    "uocava write-in",
    "ElectionType": "general other partisan-primary-closed partisan-primary-open primary runoff special",
    "IdentifierType": "fips local-level national-level ocd-id other state-level",
    "ReportDetailLevel": "precinct-level summary-contest",
    "ReportingUnitType": "ballot-batch ballot-style-area borough city city-council combined-precinct congressional "
    "country county county-council drop-box judicial municipality other polling-place precinct school special "
    "split-precinct state state-house state-senate town township utility village vote-center ward water",
    "ResultsStatus": "certified correction pre-election recount unofficial-complete unofficial-partial",
    "VoteVariation": "1-of-m approval borda cumulative majority n-of-m other plurality proportional range rcv "
    "super-majority",
}
_SIMPLE: Final = frozenset({"string", "integer", "number", "boolean"})
_PREFIX: Final = "ElectionResults."


def schema() -> Json:
    """JSON Schema, draft 4, as NIST's; whose root is an ElectionReport."""
    definitions: Json = {_PREFIX + name: _class_of(name, told) for name, told in CLASSES.items()}
    definitions |= {_PREFIX + name: {"type": "string", "enum": words.split()} for name, words in WORDS.items()}
    definitions[f"{_PREFIX}HtmlColorString"] = {"type": "string", "pattern": "[0-9a-f]{6}"}
    about = {"$schema": "http://json-schema.org/draft-04/schema#", "$ref": f"#/definitions/{_PREFIX}ElectionReport"}
    return about | {"definitions": definitions}


def _class_of(name: str, told: str) -> Json:
    fields: Json = {"@type": {"enum": [_PREFIX + name]}}
    required = []
    for each in told.split():
        field, _, form = each.rpartition(":")
        bare = field.rstrip("!*+")
        required += [bare] if "!" in field else []
        inner = _form_of(form)
        listed = {"type": "array", "items": inner, "minItems": int("+" in field)}
        fields[bare] = listed if {*field} & {"*", "+"} else inner
    return {"type": "object", "additionalProperties": False, "properties": fields, "required": required}


def _form_of(form: str) -> Json:
    if form in _SIMPLE:
        return {"type": form}
    if form.startswith("@"):
        return {"type": "string", "refTypes": [_PREFIX + each for each in form[1:].split("|")]}
    if form[0].islower():
        return {"type": "string", "format": form}
    several = [{"$ref": f"#/definitions/{_PREFIX}{each}"} for each in form.split("|")]
    return several[0] if len(several) == 1 else {"oneOf": several}
